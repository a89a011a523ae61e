//! Behaviour tests: everything through the processes' own interfaces.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers, too")]

mod architecture;
mod harness;
