//! The few environment variables the harness itself listens to.

use std::path::PathBuf;

#[expect(
    clippy::disallowed_methods,
    reason = "the harness has no configuration file; this is its one place for the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// `POSTRIDER_BIN_DIR`: take the product's programs from this folder as they are, and build nothing.
pub fn binaries_folder() -> Option<PathBuf> {
    variable("POSTRIDER_BIN_DIR").map(PathBuf::from)
}

/// `POSTRIDER_TEST_POSTGRES`: a server to make databases on, such as `postgres://postgres@127.0.0.1:5432`, instead of a private one.
pub fn postgres_server() -> Option<String> {
    variable("POSTRIDER_TEST_POSTGRES")
}

/// `POSTRIDER_TEST_LOG`: the `RUST_LOG` of the programs under test.
pub fn log_filter() -> String {
    variable("POSTRIDER_TEST_LOG").unwrap_or_else(|| "info".to_owned())
}

/// `POSTRIDER_TEST_KEEP`: keep the folder of logs and data of a test that passed, too.
pub fn keep_folder() -> bool {
    variable("POSTRIDER_TEST_KEEP").is_some()
}

/// Set by nextest, the same in all processes of one run: the programs are built once for it.
pub fn test_run() -> Option<String> {
    variable("NEXTEST_RUN_ID")
}

/// What a program under test inherits. Everything else, an API key of the developer above all, stays out.
pub fn inherited() -> Vec<(&'static str, String)> {
    ["PATH", "HOME", "LD_LIBRARY_PATH"]
        .into_iter()
        .filter_map(|name| variable(name).map(|value| (name, value)))
        .collect()
}
