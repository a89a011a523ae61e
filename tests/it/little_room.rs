//! The scripts on a disk with little room: what is missing is said before anything begins, and runs that were killed leave nothing
//! for long.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use postrider_tests::binaries::{folder, repository};
use postrider_tests::settings::inherited;

/// Runs it with a `df` that finds so much room on every disk.
fn with_room(megabytes: u32, place: &Path, command: &mut Command) -> Output {
    let programs = place.join("programs");
    std::fs::create_dir_all(&programs).unwrap();
    let df = programs.join("df");
    let answer = format!("#!/bin/sh\necho Head\necho disk 9 9 {} 9% /\n", u64::from(megabytes) * 1024);
    std::fs::write(&df, answer).unwrap();
    std::fs::set_permissions(&df, std::fs::Permissions::from_mode(0o755)).unwrap();
    let usual = inherited().into_iter().find(|(name, _)| *name == "PATH").unwrap().1;
    let path = format!("{}:{usual}", programs.display());
    command.current_dir(repository()).env("PATH", path).env("CARGO_TARGET_DIR", place.join("target")).output().unwrap()
}

fn refuses(megabytes: u32, command: &mut Command, words: &[&str]) {
    let place = tempfile::tempdir().unwrap();
    let output = with_room(megabytes, place.path(), command.env("TMPDIR", place.path()));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for word in words {
        assert!(said.contains(word), "nothing of {word:?}: {said}");
    }
    assert!(!place.path().join("target").exists(), "it began");
}

#[test]
fn who_lacks_room_is_told_before_anything_begins() {
    for script in ["deploy/up", "deploy/test", ".ci/run"] {
        let words = ["the build needs", "MB more in", "/target, and 1500 MB are free there", "CARGO_TARGET_DIR"];
        refuses(1500, Command::new(repository().join(script)).env_remove("POSTRIDER_BIN_DIR"), &words);
    }
    let data = tempfile::tempdir().unwrap();
    let mut up = Command::new(repository().join("deploy/up"));
    up.env("POSTRIDER_BIN_DIR", folder()).arg("--data").arg(data.path().join("new"));
    refuses(100, &mut up, &["needs 300 MB more in", "100 MB are free", "--data"]);
    assert!(!data.path().join("new").exists(), "it began");
}

#[test]
fn what_killed_runs_have_left_goes_with_the_next_one() {
    let place = tempfile::tempdir().unwrap();
    let [dead, living] = ["dead", "living"].map(|name| place.path().join(format!("postrider-run.{name}")));
    for run in [&dead, &living] {
        std::fs::create_dir(run).unwrap();
        std::fs::write(run.join("a log"), "of a test").unwrap();
    }
    File::create(dead.join("lock")).unwrap();
    let held = File::create(living.join("lock")).unwrap();
    held.lock().unwrap();
    let mut next = Command::new("bash");
    next.args([
        "-euo",
        "pipefail",
        "-c",
        ". deploy/console.sh; own_temporary_folder; mktemp; ls \"$TMPDIR/postrider-ports/\"",
    ]);
    let output = next.current_dir(repository()).env("TMPDIR", place.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let file = String::from_utf8(output.stdout).unwrap();
    assert!(file.starts_with(&place.path().join("postrider-run.").display().to_string()), "{file}");
    assert!(!dead.exists() && living.join("a log").exists());
}
