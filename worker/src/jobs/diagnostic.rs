//! Jobs for smoke tests and drills, on every installation: one file per kind, and their part of the list.

mod crash;
mod echo;
mod fail;
mod sleep;

use postrider_shared::jobs::diagnostic::{DiagnosticCrash, DiagnosticEcho, DiagnosticFail, DiagnosticSleep};

use crate::registry::{RegisteredTwice, Registry};

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisteredTwice> {
    registry.add::<DiagnosticEcho>()?;
    registry.add::<DiagnosticSleep>()?;
    registry.add::<DiagnosticFail>()?;
    registry.add::<DiagnosticCrash>()?;
    Ok(())
}
