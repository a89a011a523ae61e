//! The child processes in which a worker reads documents, as the system sees them.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// One of them. Process ids come back, so its time of start belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reader {
    pid: u32,
    started: String,
}

/// All that a worker has now.
pub(super) fn readers_of(worker: u32) -> Vec<Reader> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let fields = stat(pid)?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let is_reader = command.split(|byte| *byte == 0).any(|word| word == b"read-document");
        (fields.get(1)? == &worker.to_string() && is_reader).then(|| Reader { pid, started: fields[19].clone() })
    })
    .collect()
}

/// From its state on; what is before it is a name that may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = text.rsplit_once(") ")?.1;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

impl Reader {
    pub(super) fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|fields| fields[19] == self.started && fields[0] != "Z")
    }

    /// Bytes; none if there is no limit.
    pub(super) fn address_space_limit(&self) -> Option<u64> {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.pid)).ok()?;
        let line = limits.lines().find(|line| line.starts_with("Max address space"))?;
        line.split_whitespace().nth(3)?.parse().ok()
    }

    /// Whether it is past setting its limits, and so at its document.
    pub(super) fn is_limited(&self) -> bool {
        self.address_space_limit().is_some()
    }

    pub(super) fn environment(&self) -> String {
        String::from_utf8_lossy(&fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default()).into_owned()
    }

    fn resident_bytes(&self) -> u64 {
        status(self.pid, "VmHWM:")
    }

    /// What a parser's worst does. Not SIGSEGV: Rust looks at that one itself, and lets one that is sent pass.
    pub(super) fn crash(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::ILL);
        }
    }
}

/// The most that a process ever had in memory.
pub(super) fn peak_bytes(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}

/// What was seen of a worker's readers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) most_children: usize,
    /// Of one child.
    pub(super) most_bytes: u64,
    /// Whether each that took much had its limit by then.
    pub(super) limited: bool,
}

/// Looks at them every few milliseconds until it is asked.
pub(super) fn watch(worker: u32) -> Watch {
    let (end, mut ended) = oneshot::channel::<()>();
    let mut looking = JoinSet::new();
    looking.spawn(async move {
        let mut seen = Seen { most_children: 0, most_bytes: 0, limited: true };
        loop {
            let readers = readers_of(worker);
            seen.most_children = seen.most_children.max(readers.len());
            for reader in readers {
                let bytes = reader.resident_bytes();
                seen.most_bytes = seen.most_bytes.max(bytes);
                seen.limited &= bytes < 200 << 20 || reader.is_limited() || !reader.is_alive();
            }
            if tokio::time::timeout(Duration::from_millis(20), &mut ended).await.is_ok() {
                return seen;
            }
        }
    });
    Watch { end, looking }
}

pub(super) struct Watch {
    end: oneshot::Sender<()>,
    looking: JoinSet<Seen>,
}

impl Watch {
    pub(super) async fn ended(mut self) -> Seen {
        drop(self.end);
        self.looking.join_next().await.unwrap().unwrap()
    }
}
