//! `postrider-migrate`, as each replica of a deployment may run it first.

use std::process::Stdio;

use futures::future::join_all;
use postrider_tests::{DatabaseKind, TestDatabase, binaries::program};
use tokio::process::Command;

on_both_databases!(several_processes_that_migrate_at_once_all_succeed);

async fn several_processes_that_migrate_at_once_all_succeed(kind: DatabaseKind) {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::empty(kind, folder.path()).await;
    let runs = (0..4).map(|_| {
        let mut command = Command::new(program("postrider-migrate"));
        command.arg("up").env("DATABASE_URL", database.url()).stdin(Stdio::null()).kill_on_drop(true).output()
    });
    let mut applied = 0;
    for run in join_all(runs).await {
        let run = run.unwrap();
        let (out, error) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert!(run.status.success(), "{out}{error}");
        applied += usize::from(!out.contains(", 0 steps applied"));
    }
    assert_eq!(applied, 1, "each step is applied by one of them");
}
