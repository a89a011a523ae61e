//! Ending a session from outside.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures::future::join_all;
use tokio::sync::oneshot;

use super::{Command, Session};
use crate::{error::QueueError, script, wire};

/// Controls the session of a backend from outside of the worker.
#[derive(Debug, Clone)]
pub struct SessionHandle(pub(crate) Arc<Session>);

impl SessionHandle {
    /// Takes no more jobs. What is held goes on.
    pub fn stop_claiming(&self) {
        let _ = self.0.commands.send(Command::StopClaiming);
    }

    /// Jobs handed to handlers and not yet settled.
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    /// Ends the session: outcomes are delivered, whatever is still held goes back to its lane without an attempt, its leases are
    /// lost. Gives up after the time and leaves the rest to the rescue.
    pub async fn close(&self, at_most: Duration) -> Result<(), QueueError> {
        if self.0.stop.is_cancelled() {
            return Ok(());
        }
        let closing = async {
            self.stop_claiming();
            let (flushed, done) = oneshot::channel();
            let _ = self.0.commands.send(Command::Flush(flushed));
            let _ = done.await;
            give_back(&self.0).await;
        };
        let ended = tokio::time::timeout(at_most, closing).await;
        self.0.stop.cancel();
        ended.map_err(|_| QueueError::Closed)
    }
}

/// Returns everything that is held, in bounded steps, and forgets the session.
pub(super) async fn give_back(session: &Session) {
    let holds: Vec<_> = session.holds().values().filter_map(Weak::upgrade).collect();
    for hold in holds {
        hold.settled.store(true, Ordering::Release);
        hold.lose();
    }
    session.holds().clear();
    // A server that is away must not keep the others from being told.
    let servers = 0..session.client.link().servers();
    join_all(servers.map(|server| forget(session, server))).await;
}

/// The same in the shards of one server.
async fn forget(session: &Session, server: usize) {
    for shard in session.client.link().shards_of(server) {
        if !session.is_open(shard) {
            continue;
        }
        let args = vec![session.token(shard).to_vec()];
        loop {
            match session.client.link().call(&script::CLOSE, shard, &args).await.and_then(|left| wire::integer(&left)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.is_transient() => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => {
                    tracing::error!(shard, %error, "a session could not be closed; the rescue will take its jobs");
                    break;
                }
            }
        }
    }
}
