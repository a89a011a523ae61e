//! The run ledger that workers write with `DIAGNOSTIC_LEDGER`: the outside witness of which diagnostic jobs ran.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use postrider_queue::Enqueued;

/// One line: a step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub ended: bool,
    pub job: String,
    pub process: u32,
    /// Microseconds since 1970.
    pub at_us: i64,
}

/// The file, to be read as often as one likes.
#[derive(Debug, Clone)]
pub struct Runs(PathBuf);

impl Runs {
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }

    /// What `DIAGNOSTIC_LEDGER` must be for workers to write here.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All steps so far, oldest first. A file that is not there yet has none.
    ///
    /// # Panics
    /// When a line is not one that a worker writes: then nothing it says can be trusted.
    pub fn read(&self) -> Vec<Run> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| parse(line).unwrap_or_else(|| panic!("not a run: {line:?}"))).collect()
    }

    /// How many runs ended, without parsing them.
    pub fn lines(&self) -> usize {
        std::fs::read(&self.0).map_or(0, |bytes| bytes.split(|byte| *byte == b'\n').count().saturating_sub(1))
    }
}

fn parse(line: &str) -> Option<Run> {
    let mut words = line.split(' ');
    let ended = words.next()? == "end";
    let job = words.next()?.to_owned();
    let _attempt = words.next()?;
    Some(Run { ended, job, process: words.next()?.parse().ok()?, at_us: words.next()?.parse().ok()? })
}

/// How accepted jobs and ended runs compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub lost: usize,
    /// Ends beyond the first, of all jobs together.
    pub repeated: usize,
    /// Jobs that ended and are not among the accepted.
    pub unknown: usize,
}

/// Compares the ids of accepted jobs with the runs that ended.
pub fn tally<S: BuildHasher>(accepted: &HashSet<String, S>, runs: &[Run]) -> Tally {
    let mut ends: HashMap<&str, usize> = HashMap::new();
    for run in runs.iter().filter(|run| run.ended) {
        *ends.entry(&run.job).or_default() += 1;
    }
    Tally {
        lost: accepted.iter().filter(|job| !ends.contains_key(job.as_str())).count(),
        repeated: ends.values().map(|count| count - 1).sum(),
        unknown: ends.keys().filter(|job| !accepted.contains(**job)).count(),
    }
}

/// The ids of the jobs that these answers say were made.
pub fn created(answers: &[Enqueued]) -> HashSet<String> {
    let made = |answer: &Enqueued| match answer {
        Enqueued::Created(id) => Some(id.to_string()),
        Enqueued::Exists(_)
        | Enqueued::UniqueTaken(_)
        | Enqueued::IdempotencyConflict(_)
        | Enqueued::Replaced(_)
        | Enqueued::BatchClosed(_) => None,
    };
    answers.iter().filter_map(made).collect()
}
