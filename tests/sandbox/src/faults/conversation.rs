//! Carrying out, on a connection, the faults that are the same in every line protocol.

use std::io;

use super::{Fault, FaultKind, Strike};
use crate::wire::Wire;

/// Waits, and ends the connection if the fault says so (as an `Err` that the session passes on).
/// Faults of the protocol itself come back for the session to carry out.
pub async fn suffer(wire: &mut Wire, strike: Strike) -> io::Result<Option<Fault>> {
    if !strike.delay.is_zero() {
        tokio::time::sleep(strike.delay).await;
    }
    let Some(fault) = strike.fault else { return Ok(None) };
    match fault.kind {
        FaultKind::Close => Err(io::ErrorKind::ConnectionAborted.into()),
        FaultKind::Hang => {
            wire.hang().await;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        FaultKind::Reset | FaultKind::ResetAfterAccept => {
            wire.reset();
            Err(io::ErrorKind::ConnectionReset.into())
        }
        _ => Ok(Some(fault)),
    }
}
