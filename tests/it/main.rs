//! Behaviour tests through the processes' own interfaces, in one binary: one file per subject.

mod architecture;
mod configuration;
