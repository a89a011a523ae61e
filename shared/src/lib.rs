//! postrider-shared

pub mod pricing;
