//! The servers of the queue, and whether they answer.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use super::QueueClient;
use crate::error::QueueError;

/// One server of the queue; a cluster is one.
#[derive(Debug)]
pub struct ServerState {
    /// Where it is, without user and password.
    pub address: String,
    /// Why it does not answer; none if it does.
    pub error: Option<QueueError>,
}

impl QueueClient {
    /// Whether each server answers. While one does not, the tenants of its shards wait, and those of the others do not.
    pub async fn servers(&self) -> Vec<ServerState> {
        join_all((0..self.link().servers()).map(|place| async move {
            ServerState { address: self.link().address(place), error: self.link().ping(place).await.err() }
        }))
        .await
    }

    /// Whether Redis answers: all servers, if there are several.
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.servers().await.into_iter().find_map(|server| server.error).map_or(Ok(()), Err)
    }

    /// What time it is, by which jobs become due: the latest that a server tells. Fails if none of them answers.
    pub async fn time(&self) -> Result<DateTime<Utc>, QueueError> {
        let told = join_all((0..self.link().servers()).map(|place| self.link().time(place))).await;
        let (mut latest, mut failed) = (None, QueueError::Closed);
        for answer in told {
            match answer {
                Ok((seconds, micros)) => {
                    let whole = DateTime::from_timestamp(seconds, 0);
                    latest = latest.max(whole.map(|at| at + TimeDelta::microseconds(micros)));
                }
                Err(error) => failed = error,
            }
        }
        latest.ok_or(failed)
    }
}
