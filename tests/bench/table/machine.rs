//! On what it was measured.

use std::process::Command;

use postrider_shared::clock::Clock;
use postrider_tests::binaries::repository;
use serde_json::Value;

use crate::bed::Bed;

#[derive(Debug, Clone)]
pub struct Machine {
    pub cores: usize,
    pub cpu: String,
    pub kernel: String,
    pub redis: String,
    pub peers: String,
    pub commit: String,
    pub date: String,
    /// Load average of the last minute before the bench began.
    pub load: f64,
    pub debug: bool,
}

impl Machine {
    pub async fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|pair| pair.1));
        let load = read("/proc/loadavg").split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        let bed = Bed::start(None).await;
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cpu: cpu.unwrap_or("unknown").trim().to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            redis: bed.info("server").await.remove("redis_version").unwrap_or_default(),
            peers: peers(),
            commit: commit(),
            date: Clock::system().now().format("%Y-%m-%d %H:%M UTC").to_string(),
            load,
            debug: cfg!(debug_assertions),
        }
    }

    /// Whether others wanted a good part of the cores.
    pub fn busy(&self) -> bool {
        self.load > crate::bed::number(self.cores) / 4.0
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).current_dir(repository()).args(arguments).output();
    ran.ok()
        .filter(|output| output.status.success())
        .map_or_else(String::new, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]);
    if changed.is_empty() { commit } else { format!("{commit} with changes") }
}

fn peers() -> String {
    let wanted = std::fs::read_to_string(repository().join("tests/bench/peers/package.json")).unwrap_or_default();
    let wanted: Value = serde_json::from_str(&wanted).unwrap_or_default();
    let version = |name: &str| wanted["dependencies"][name].as_str().unwrap_or("?").to_owned();
    let node = said("node", &["--version"]);
    format!("BullMQ {} with ioredis {} on Node.js {node}; apalis-redis 1.0.0", version("bullmq"), version("ioredis"))
}
