//! The table for people, for programs, and for the repository.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::table::figures::{Figures, Sync};
use crate::table::machine::Machine;
use crate::table::task::{Sizes, Tuned};
use crate::table::verdict::Verdict;

pub struct Page<'a> {
    pub machine: &'a Machine,
    pub figures: &'a Figures,
    pub verdicts: &'a [Verdict],
    pub remarks: &'a [String],
    pub tuned: &'a Tuned,
    pub sizes: Sizes,
    pub runs: usize,
    pub minutes: f64,
}

/// Three digits that count, with commas: `8.42`, `312`, `64,500`.
fn short(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", if value.abs() >= 10_000.0 { (value / 100.0).round() * 100.0 } else { value });
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Page<'_> {
    fn remarks(&self) -> Vec<String> {
        let mut remarks = self.remarks.to_vec();
        if self.machine.debug {
            remarks.push("a debug build: the engine's figures mean nothing".to_owned());
        }
        remarks.extend(self.figures.failures.iter().cloned());
        remarks
    }

    /// Rows of the promises and rows of the figures, as cells.
    fn verdict_rows(&self) -> Vec<Vec<String>> {
        let row = |verdict: &Verdict| {
            let found = verdict.found.map_or_else(|| "–".to_owned(), |found| short(found) + verdict.unit);
            let sign = if verdict.at_least { "≥" } else { "≤" };
            let asked = format!("{sign} {}{}", short(verdict.asked), verdict.unit);
            vec![verdict.what.clone(), found, asked, verdict.word().to_owned()]
        };
        self.verdicts.iter().map(row).collect()
    }

    fn figure_rows(&self) -> Vec<Vec<String>> {
        let cell = |sync, scenario, who: &str| {
            let spread = self.figures.spread(sync, scenario, who);
            spread.map_or_else(
                || "–".to_owned(),
                |(least, median, most)| format!("{} ({} to {})", short(median), short(least), short(most)),
            )
        };
        let mut rows = Vec::new();
        for (scenario, contestants) in self.figures.rows() {
            for who in contestants {
                let cells = [Sync::Everysec, Sync::Always].map(|sync| cell(sync, scenario, &who));
                let [everysec, always] = cells;
                rows.push(vec![scenario.to_owned(), who, everysec, always]);
            }
        }
        rows
    }

    fn setting(&self) -> Vec<String> {
        let (machine, sizes, tuned) = (self.machine, self.sizes, self.tuned);
        vec![
            format!("{}; commit {}; Redis {}", machine.date, machine.commit, machine.redis),
            format!("{} cores of {}; Linux {}; load before the start {}", machine.cores, machine.cpu, machine.kernel, machine.load),
            format!("peers: {}", machine.peers),
            "Redis with deploy/redis.conf but maxmemory 4gb, a fresh one for every measurement, whose log is written anew before a drain of \
             bulk; payload 200 bytes of JSON; a status record is kept of every job; the clock stops at the acknowledgement"
                .to_owned(),
            format!(
                "jobs: {} one by one, {} concurrently, {} in bulk and drained (peers {}), {} waiting, {} lanes of {} jobs, {} at 20 ms",
                sizes.one, sizes.concurrent, sizes.life, sizes.peer_life, sizes.backlog, sizes.lanes, crate::lanes::DEPTH, sizes.latency
            ),
            format!(
                "best settings found: BullMQ {} enqueues in flight, concurrency {}; apalis-redis batches of {}, no events; \
                 engine: 64 in flight, concurrency 512",
                tuned.in_flight, tuned.bullmq, tuned.stock
            ),
            format!(
                "{} runs in rotation, medians (least to most), {:.1} minutes; lost {}, repeated {}",
                self.runs, self.minutes, self.figures.lost, self.figures.repeated
            ),
        ]
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.setting() {
            let _ = writeln!(text, "{line}");
        }
        for remark in self.remarks() {
            let _ = writeln!(text, "! {remark}");
        }
        text.push('\n');
        text += &columns(&["figure", "contestant", "everysec", "always"], &self.figure_rows());
        text.push('\n');
        text += &columns(&["promise", "found", "asked", ""], &self.verdict_rows());
        text
    }

    pub fn markdown(&self) -> String {
        let mut text =
            "# What the queue engine does\n\nWritten by `bench table --write`; see `bench table --help`.\n".to_owned();
        text += "Absolute figures move from machine to machine; the ratios of one run hold.\n\n";
        for line in self.setting() {
            let _ = writeln!(text, "* {line}");
        }
        for remark in self.remarks() {
            let _ = writeln!(text, "* **{remark}**");
        }
        text += "\n## Promises\n\n";
        text += &markdown(&["promise", "found", "asked", ""], &self.verdict_rows());
        text +=
            "\nShards on two servers can be faster only where the machine has cores for both and for the workers.\n";
        text += &self.backlog();
        text += "\n## Figures\n\nJobs a second, unless the name says memory (bytes a job), latency (ms) or s.\n\n";
        text += &markdown(&["figure", "contestant", "everysec", "always"], &self.figure_rows());
        text += "\n`limit` is what this Redis can do at most with the same bytes: a SET awaited, SETs with 64 in flight, a Lua \
                 script that pushes and one that pops 256 jobs one by one. `limit with status` takes a number off the \
                 list, reads the job's record and writes a status in its place, and nothing else.\n";
        text
    }

    /// What a long backlog costs whoever has a record of each job.
    fn backlog(&self) -> String {
        let median = |who: &str| self.figures.median(Sync::Everysec, "backlog", who);
        let (few, many) = (median("limit with status, 10,000"), median("limit with status, many"));
        few.zip(many).map_or_else(String::new, |(few, many)| {
            format!(
                "`limit with status` has all records in one hash. At the head of many jobs it does {:.2} of what it does at 10,000: \
                 they lie in no cache of the processor then. The engine's stand in blocks.\n",
                many / few
            )
        })
    }

    pub fn json(&self) -> Value {
        let mut figures = Vec::new();
        for (scenario, contestants) in self.figures.rows() {
            for who in contestants {
                for sync in [Sync::Everysec, Sync::Always] {
                    if let Some((least, median, most)) = self.figures.spread(sync, scenario, &who) {
                        figures.push(json!({
                            "scenario": scenario, "contestant": who, "appendfsync": sync.name(),
                            "median": median, "least": least, "most": most,
                        }));
                    }
                }
            }
        }
        let promise = |verdict: &Verdict| json!({ "promise": verdict.what, "found": verdict.found, "asked": verdict.asked, "at_least": verdict.at_least, "verdict": verdict.word() });
        json!({
            "scenario": "table", "held": self.figures.sound(), "setting": self.setting(), "remarks": self.remarks(),
            "lost": self.figures.lost, "repeated": self.figures.repeated, "runs": self.runs,
            "figures": figures, "promises": self.verdicts.iter().map(promise).collect::<Vec<_>>(),
        })
    }
}

fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let mut widths = vec![0; head.len()];
    for row in std::iter::once(&head).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell}{}", " ".repeat(width - cell.chars().count() + 2));
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn figures_are_short_and_readable() {
        let shown: Vec<String> = [0.853, 42.04, 335.9, 1_234.0, 64_485.4, 1_000_000.0].into_iter().map(short).collect();
        assert_eq!(shown, ["0.85", "42.0", "336", "1,234", "64,500", "1,000,000"]);
    }
}
