//! Peers in other languages. Where their programs are not installed and cannot be, the bench says so and goes on.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use postrider_tests::binaries::repository;

fn folder() -> PathBuf {
    repository().join("tests/bench/peers")
}

pub fn script() -> PathBuf {
    folder().join("bullmq.mjs")
}

/// Why `BullMQ` cannot take part; nothing if it can. Installs what the lock file names, once.
pub fn bullmq_missing() -> Option<&'static str> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    MISSING.get_or_init(|| install().err()).as_deref()
}

fn install() -> Result<(), String> {
    quiet(Command::new("node").arg("--version")).map_err(|error| format!("node does not run: {error}"))?;
    let present = ["bullmq", "ioredis"].iter().all(|name| folder().join("node_modules").join(name).is_dir());
    if present {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    // Not `npm ci`: it insists on optional packages of other platforms, which not every registry has.
    npm.current_dir(folder()).args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]);
    quiet(&mut npm).map_err(|error| format!("`npm install` in tests/bench/peers: {error}"))
}

fn quiet(command: &mut Command) -> Result<(), String> {
    let ran = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let errors = said.lines().filter_map(|line| line.strip_prefix("npm error")).map(str::trim);
    let reason: Vec<&str> = errors.filter(|line| !line.is_empty()).take(3).collect();
    Err(if reason.is_empty() { "it failed".to_owned() } else { reason.join(" ") })
}
