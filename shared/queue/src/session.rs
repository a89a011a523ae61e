//! One process's standing with the queue.

use std::time::Instant;

use crate::{claim::Interrupt, error::QueueError};

/// What a lease points to.
#[derive(Debug)]
pub(crate) struct Hold {}

#[expect(
    clippy::unused_self,
    clippy::unused_async,
    reason = "signatures first; bodies follow"
)]
impl Hold {
    pub(crate) fn lost(&self) -> bool {
        unimplemented!()
    }
    pub(crate) fn cancelled(&self) -> bool {
        unimplemented!()
    }
    pub(crate) async fn interrupted(&self) -> Interrupt {
        unimplemented!()
    }
    pub(crate) fn expires_at(&self) -> Instant {
        unimplemented!()
    }
    pub(crate) async fn progress(&self, _progress: serde_json::Value) -> Result<(), QueueError> {
        unimplemented!()
    }
}
