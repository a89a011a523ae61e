//! Behaviour tests through the processes' own interfaces, in one binary: one file per subject.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers, too")]

mod architecture;
mod configuration;
mod harness;
mod stock_storage;
