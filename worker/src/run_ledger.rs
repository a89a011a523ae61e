//! A witness outside of Redis: which diagnostic jobs ran, where and when. Drills and benchmarks compare it with what the
//! queue says, so that a lost or repeated run cannot hide.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use postrider_shared::clock::Clock;

use crate::context::JobContext;

/// Appends a line for every step of a run: `begin|end`, job id, attempt, process id, microseconds since 1970. A line is
/// one write to a file opened for appending, so several processes may share the file, and SIGKILL tears no line.
#[derive(Default)]
pub struct RunLedger(Option<(File, Clock)>);

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Begin,
    End,
}

impl RunLedger {
    /// Opens or makes the file; without a path nothing is noted.
    pub fn open(path: Option<&Path>, clock: Clock) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Some((file, clock))))
    }

    /// Notes a step. A ledger that cannot be written makes the drill fail, not the job.
    pub fn note(&self, step: Step, job: &JobContext) {
        let Some((file, clock)) = &self.0 else { return };
        let step = match step {
            Step::Begin => "begin",
            Step::End => "end",
        };
        let time = clock.now().timestamp_micros();
        let line = format!("{step} {} {} {} {time}\n", job.id, job.attempt, std::process::id());
        let mut file: &File = file;
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!(%error, "the run was not noted");
        }
    }
}
