//! The scripts against the model: random steps are carried out by the real scripts on a real Redis and by the reference
//! ([`super::machine`]), and after each step all that can be seen of the two must be the same.
//!
//! The reference does not say whose turn it is: which lanes give their jobs is told by the scripts, and it judges whether they
//! could, and whether anything was left that nobody would come for. Redis's clock stands still between the steps, so a
//! case goes the same way on any machine. A failure prints the shortest list of steps that was found to fail.
//!
//! `POSTRIDER_MODEL_CASES` sets how many cases there are, `POSTRIDER_MODEL_SEED` the seed.

use std::cell::RefCell;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::leaping::Server;

mod calls;
mod carried;
mod jobs;
mod limits;
mod picture;
mod sessions;
mod steps;
mod worker;

use carried::Carried;

#[expect(clippy::disallowed_methods, reason = "the length of a test is no configuration of the product")]
fn option(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Runs cases, each on an empty Redis. Answers what the shortest failing one says.
fn compare(cases: u32, seed: u32) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::start();
    let client = runtime.block_on(server.client());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_be_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let happened = RefCell::new(picture::Happened::default());
    let result = runner.run(&steps::any_steps(), |steps| {
        let case = async {
            let mut carried = Carried::begin(&server, &client).await;
            let through = carried.all(&steps.0).await;
            happened.borrow_mut().add(&carried.happened);
            through
        };
        runtime.block_on(case).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {
            println!("{cases} cases with seed {seed}, equal after each step: {}", happened.borrow());
            Ok(())
        }
        Err(TestError::Fail(reason, steps)) => Err(format!("seed {seed}: {}\n{steps:?}", reason.message())),
        Err(TestError::Abort(reason)) => Err(reason.message().to_owned()),
    }
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let (cases, seed) = (option("POSTRIDER_MODEL_CASES", 60), option("POSTRIDER_MODEL_SEED", 1));
    if let Err(difference) = compare(cases, seed) {
        panic!("{difference}");
    }
}
