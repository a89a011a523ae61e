//! Where the product's programs are. Run from `target/PROFILE/deps` (a test) they are first built with the same profile,
//! once per test run, so that no test runs yesterday's worker.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::settings;

const PROGRAMS: [&str; 5] =
    ["postrider-api", "postrider-worker", "postrider-scheduler", "postrider-sandbox", "postrider-proof"];

/// The path of a program of this workspace, such as `postrider-worker`.
pub fn program(name: &str) -> PathBuf {
    folder().join(name)
}

/// The folder of this build's programs.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(built)
}

/// The repository's top folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

fn built() -> PathBuf {
    if let Some(folder) = settings::binaries_folder() {
        return folder;
    }
    let own = std::env::current_exe().expect("know the own path");
    let folder = own.parent().expect("a program lies in a folder");
    if folder.ends_with("deps") {
        let folder = folder.parent().expect("deps lies in the profile's folder");
        build_once(folder);
        return folder.to_owned();
    }
    if PROGRAMS.iter().any(|name| !folder.join(name).exists()) {
        build(folder);
    }
    folder.to_owned()
}

/// Builds under a lock; the lock file names the test run it was done for.
fn build_once(folder: &Path) {
    let mut lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(folder.join(".postrider-programs-built"))
        .expect("open the lock of the build");
    lock.lock().expect("lock the build");
    let mut done_for = String::new();
    lock.read_to_string(&mut done_for).expect("read the lock of the build");
    let run = settings::test_run();
    if run.is_some() && run.as_deref() == Some(done_for.as_str()) {
        return;
    }
    build(folder);
    lock.set_len(0).and_then(|()| lock.rewind()).expect("rewrite the lock of the build");
    lock.write_all(run.unwrap_or_default().as_bytes()).expect("rewrite the lock of the build");
}

fn build(folder: &Path) {
    let mut cargo = Command::new("cargo");
    // The whole workspace: a part of it resolves other features, and the two would rebuild each other in turn.
    cargo.current_dir(repository()).args(["build", "--quiet", "--workspace", "--bins"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("run cargo");
    assert!(status.success(), "the product's programs do not build");
}
