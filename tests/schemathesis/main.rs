//! Starts an installation with something of everything in it and lets Schemathesis loose on it: no answer may be a fault of
//! ours or differ from `/openapi.json`, and every operation must have succeeded at least once.
//!
//! `tests/schemathesis/run` starts this with Schemathesis installed. What a call needs beyond its schema (ids of things that
//! exist, formulas, keys) stands in `recipes.py`, one line for each operation.

mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use postrider_tests::{Report, binaries};
use serde::Deserialize;

use world::World;

/// Tests the API against its own document.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program `st` of Schemathesis.
    #[arg(long)]
    st: PathBuf,
    /// Decides what is sent.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Most cases that are made up for an operation, beside those that follow from its schema's limits.
    #[arg(long, default_value_t = 12)]
    examples: u32,
    /// Only operations whose `operationId` matches this regular expression.
    #[arg(long)]
    only: Option<String>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// What the hooks counted: for each operation, how often each status was answered.
#[derive(Debug, Deserialize)]
struct Counted {
    operations: BTreeMap<String, BTreeMap<u16, u64>>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let world = World::make().await;
    let made_s = started.elapsed().as_secs_f64();
    let folder = binaries::repository().join("tests/schemathesis");
    let counts = world.folder().join("counted.json");
    let mut st = Command::new(&arguments.st);
    st.current_dir(&folder)
        .args([
            "--config-file",
            "schemathesis.toml",
            "run",
            &format!("{}/openapi.json", world.base()),
            "--url",
            world.base(),
        ])
        .args(["--seed", &arguments.seed.to_string(), "--max-examples", &arguments.examples.to_string()])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("POSTRIDER_WORLD", world.file())
        .env("POSTRIDER_COUNTED", &counts);
    if let Some(only) = &arguments.only {
        st.args(["--include-operation-id-regex", only]);
    }
    let status = tokio::task::spawn_blocking(move || st.status()).await.expect("run Schemathesis");
    let agreed = status.expect("start Schemathesis").success();
    let took_s = started.elapsed().as_secs_f64();
    // Absent if Schemathesis did not come so far; it has said why.
    let text = std::fs::read_to_string(&counts).unwrap_or_else(|_| r#"{"operations":{}}"#.to_owned());
    let counted: Counted = serde_json::from_str(&text).expect("counts of the hooks");
    let report = judge(&arguments, agreed, &counted, (made_s, took_s));
    world.end(report.held());
    report.conclude(arguments.json)
}

fn judge(arguments: &Arguments, agreed: bool, counted: &Counted, (made_s, took_s): (f64, f64)) -> Report {
    let of = |class: u16| move |(status, _): &(&u16, &u64)| **status / 100 == class;
    let sum = |class: u16| -> u64 {
        counted
            .operations
            .values()
            .map(|statuses| statuses.iter().filter(of(class)).map(|(_, n)| *n).sum::<u64>())
            .sum()
    };
    let never: Vec<&str> = counted
        .operations
        .iter()
        .filter(|(_, statuses)| !statuses.iter().any(|entry| of(2)(&entry)))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut report = Report::new("schemathesis");
    report
        .figure("seed", arguments.seed)
        .figure("operations", counted.operations.len())
        .figure("calls", counted.operations.values().flat_map(BTreeMap::values).sum::<u64>())
        .figure("answered_2xx", sum(2))
        .figure("answered_4xx", sum(4))
        .figure("answered_5xx", sum(5))
        .figure("operations_without_2xx", never.join(" "))
        .decimal("seconds_to_make_the_installation", made_s)
        .decimal("seconds", took_s)
        .must("every answer is as the document says, and none is a fault", agreed)
        .must("every operation succeeded at least once", never.is_empty());
    report
}
