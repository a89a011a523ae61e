//! `bench table`: the scenarios of the queue with every contestant, in rotation, several times over, and the pipeline; medians,
//! ratios, and whether they are what the product promises of itself.
//!
//! Rotation is what makes figures comparable: whatever else the machine does meets all contestants alike, so that ratios
//! hold where absolute figures move.

mod figures;
mod machine;
mod page;
mod task;
mod verdict;

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use futures::FutureExt as _;
use postrider_tests::binaries::repository;

use crate::contestant::Contestant;
use crate::{peers, shards};
use figures::Figures;
use machine::Machine;
use page::Page;
use task::{Sizes, Task, Tuned};

#[derive(Debug, Clone, Copy, Args)]
pub struct Options {
    /// How often each measurement is made; the medians count.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Smaller sizes, and peers under `everysec` only: some minutes instead of a quarter of an hour.
    #[arg(long)]
    quick: bool,
    /// Sizes of a smoke test: the figures mean nothing.
    #[arg(long, hide = true)]
    tiny: bool,
    /// Writes tests/bench/RESULTS.md.
    #[arg(long)]
    write: bool,
}

/// A measurement that takes longer hangs, and is given up, so that the table ends.
const LONGEST: Duration = Duration::from_mins(4);

/// Progress, for whoever waits.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

pub async fn run(options: Options, json: bool) -> ExitCode {
    let started = Instant::now();
    let sizes = match options {
        Options { tiny: true, .. } => Sizes::TINY,
        Options { quick: true, .. } => Sizes::QUICK,
        Options { .. } => Sizes::FULL,
    };
    let mut remarks = Vec::new();
    let mut contestants = vec![Contestant::Limit, Contestant::Engine, Contestant::Stock];
    if options.tiny {
        remarks.push("sizes of a smoke test: the figures mean nothing".to_owned());
    } else if let Some(reason) = peers::bullmq_missing() {
        remarks.push(format!("BullMQ was left out: {reason}"));
    } else {
        contestants.push(Contestant::Bullmq);
    }
    let machine = Machine::look().await;
    if machine.busy() {
        remarks.push(format!("the machine was busy with other work at the start (load {})", machine.load));
    }

    tell("finding each peer's best settings");
    let tuned = if options.tiny { Tuned::default() } else { task::tune(&contestants, sizes).await };
    let mut figures = Figures::default();
    let no_servers = shards::missing().await;
    remarks.extend(no_servers.iter().map(|reason| format!("shards on two servers were left out: {reason}")));
    let plan = task::plan(&contestants, options.quick || options.tiny, no_servers.is_none());
    for run in 0..options.runs.max(1) {
        for (scenario, sync, tasks) in &plan {
            let tasks: Vec<Task> = tasks.iter().copied().filter(|task| run == 0 || !task.once()).collect();
            for place in 0..tasks.len() {
                let task = tasks[(place + run) % tasks.len()];
                tell(&format!(
                    "{:>4} s  run {}  {scenario} ({})  {task:?}",
                    started.elapsed().as_secs(),
                    run + 1,
                    sync.name()
                ));
                let measuring = AssertUnwindSafe(task.measure(*sync, sizes, &tuned)).catch_unwind();
                match tokio::time::timeout(LONGEST, measuring).await {
                    Ok(Ok(found)) => figures.add(*sync, found),
                    Ok(Err(_)) => figures.broken(format!("{scenario} ({}): {task:?} failed", sync.name())),
                    Err(_) => figures.broken(format!("{scenario} ({}): {task:?} hung", sync.name())),
                }
            }
        }
    }

    let verdicts = verdict::all(&figures);
    let page = Page {
        machine: &machine,
        figures: &figures,
        verdicts: &verdicts,
        remarks: &remarks,
        tuned: &tuned,
        sizes,
        runs: options.runs.max(1),
        minutes: started.elapsed().as_secs_f64() / 60.0,
    };
    let text = if json { format!("{}\n", page.json()) } else { page.text() };
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    if options.write {
        std::fs::write(repository().join("tests/bench/RESULTS.md"), page.markdown()).expect("write RESULTS.md");
    }
    if figures.sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
