//! Random operations of all kinds on a small world, by the real scripts on a real Redis whose clock leaps. After each, whatever
//! Redis has twice must agree (`tests/consistent.lua`); at the end everything is let go on: each job must have ended, once, with
//! nothing reserved; and when all records have been kept long enough, no key may be left but a few. No turn may exceed a cap.
//!
//! `POSTRIDER_CHURN_SEEDS` sets how many worlds there are, `POSTRIDER_CHURN_SEED` the first of their seeds, and
//! `POSTRIDER_CHURN_STEPS` how much is done in each.

use crate::leaping::Server;

mod controls;
mod creation;
mod dice;
mod end;
mod sessions;
mod world;

use dice::Dice;
use world::World;

const STEPS: u64 = 200;

#[expect(clippy::disallowed_methods, reason = "the length of a test is no configuration of the product")]
fn option(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn whatever_is_done_all_ends_once_and_nothing_is_left() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::start();
    let client = runtime.block_on(server.client());
    let first = option("POSTRIDER_CHURN_SEED", 1);
    let steps = option("POSTRIDER_CHURN_STEPS", STEPS);
    let mut failures = Vec::new();
    for seed in first..first + option("POSTRIDER_CHURN_SEEDS", 4) {
        let world = async {
            let mut world = World::begin(&server, &client, seed).await;
            let through = world.all(steps).await;
            (through, world.steps)
        };
        let (through, last) = runtime.block_on(world);
        if let Err(wrong) = through {
            let told = last.iter().rev().take(12).rev().cloned().collect::<Vec<_>>().join("\n  ");
            eprintln!("seed {seed}:\n  {told}\n{wrong}");
            failures.push(seed);
        }
    }
    assert!(failures.is_empty(), "seeds {failures:?} fail");
}
