//! The handlers, one file per kind, and the one list of them.

mod diagnostic;

use postrider_shared::jobs::{DiagnosticCrash, DiagnosticEcho, DiagnosticFail, DiagnosticSleep};

use crate::registry::{RegisteredTwice, Registry};

/// Every kind this worker runs.
pub fn registry() -> Result<Registry, RegisteredTwice> {
    let mut registry = Registry::default();
    registry.add::<DiagnosticEcho>()?;
    registry.add::<DiagnosticSleep>()?;
    registry.add::<DiagnosticFail>()?;
    registry.add::<DiagnosticCrash>()?;
    Ok(registry)
}
