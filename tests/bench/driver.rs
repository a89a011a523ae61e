//! Starts and steers the process that plays a contestant; see [`crate::drive`] for the words they exchange.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::bed::Bed;
use crate::contestant::Contestant;
use crate::parcel::{Run, read_runs};

/// No step of a driver takes longer, or something hangs.
const DEADLINE: Duration = Duration::from_mins(5);

pub struct Driver {
    child: Child,
    words: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    runs: PathBuf,
}

impl Driver {
    /// Starts it and waits until it is ready. `flags` are pairs as in [`crate::drive::Order`].
    pub async fn start(contestant: Contestant, role: &str, bed: &Bed, flags: &[(&str, usize)]) -> Self {
        let runs = bed.folder().join(format!("runs-{:016x}", rand::random::<u64>()));
        let mut command = contestant.driver();
        command.arg(role).arg("--url").arg(bed.url()).arg("--runs").arg(&runs);
        for (name, value) in flags {
            command.arg(format!("--{name}")).arg(value.to_string());
        }
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", contestant.name()));
        let words = child.stdin.take().expect("a pipe");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut driver = Self { child, words, lines, runs };
        let line = driver.line().await;
        assert_eq!(line, "ready", "{} {role} does not get ready", contestant.name());
        driver
    }

    /// Says `go` and, for all but workers, waits for the end. Returns how long the contestant itself says it took.
    pub async fn measure(mut self) -> Duration {
        self.say("go").await;
        self.end().await
    }

    pub async fn go(&mut self) {
        self.say("go").await;
    }

    /// Stops a worker and returns what it ran.
    pub async fn stop(mut self) -> Vec<Run> {
        self.say("stop").await;
        self.end().await;
        read_runs(&self.runs)
    }

    async fn say(&mut self, word: &str) {
        self.words.write_all(format!("{word}\n").as_bytes()).await.expect("speak to a driver");
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(DEADLINE, self.lines.next_line()).await.expect("a driver that answers");
        line.expect("hear a driver").expect("a driver that lives")
    }

    async fn end(&mut self) -> Duration {
        let line = self.line().await;
        let report: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("a driver that ends");
        assert!(ended.expect("await a driver").success(), "a driver failed");
        Duration::from_secs_f64(report["seconds"].as_f64().expect("seconds"))
    }
}
