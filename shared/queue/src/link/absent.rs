//! Servers that are away when a process starts. It serves the shards of the others, and takes them in when they are back.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU16},
    },
    time::Duration,
};

use futures::{FutureExt, future::join_all};
use tokio_util::task::TaskTracker;

use super::{
    Inner, Link,
    homes::{Entries, exchange},
    server::{Server, explain},
};
use crate::{
    address::{self, Address},
    config::QueueConfig,
    error::QueueError,
    settings,
};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A server that came back with other data or settings needs a person.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What is said of a shard whose server is away.
pub(super) fn away(address: Option<&Address>) -> QueueError {
    let text = match address {
        Some(address) => format!("the server at {address} has been away since this process started"),
        None => "the server of this shard has been away since this process started".to_owned(),
    };
    QueueError::Unreachable(io::Error::new(io::ErrorKind::NotConnected, text).into())
}

/// A server that can keep a promise, with its name and its list of homes.
pub(super) struct Guest {
    pub(super) server: Server,
    pub(super) name: String,
    pub(super) homes: Entries,
}

async fn welcome(address: &Address, replicas: u32) -> Result<Guest, QueueError> {
    examine(address, replicas).await.map_err(|error| explain(error, address))
}

async fn examine(address: &Address, replicas: u32) -> Result<Guest, QueueError> {
    let server = Server::open(address.clone(), replicas).await?;
    settings::check_server(&server, replicas).await?;
    let (name, homes) =
        if server.is_cluster() { Default::default() } else { exchange(&server, &Entries::new()).await? };
    Ok(Guest { server, name, homes })
}

impl Link {
    /// Connects to all servers, checks that they can keep a promise, and learns or decides which of them holds which shard.
    /// One of several may be away, if the others know of its shards.
    pub(crate) async fn open(config: &QueueConfig) -> Result<Self, QueueError> {
        let addresses = address::parse(&config.redis_url)?;
        let (mut guests, mut missing) = (HashMap::new(), None);
        let answers = join_all(addresses.iter().map(|address| welcome(address, config.replicas).boxed())).await;
        for (place, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(guest) => drop(guests.insert(place, guest)),
                Err(error @ QueueError::Unreachable(_)) => {
                    if addresses.len() > 1 {
                        tracing::warn!(server = %addresses[place], %error, "a Redis server is away; its tenants wait");
                    }
                    missing.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        let link = Self(Arc::new(Inner {
            servers: addresses.iter().map(|_| OnceLock::new()).collect(),
            names: addresses.iter().map(|_| OnceLock::new()).collect(),
            addresses,
            homes: (0..config.shards).map(|_| AtomicU16::new(0)).collect(),
            replicas: config.replicas,
            protocol: AtomicU8::new(0),
        }));
        match missing {
            Some(error) if guests.is_empty() => Err(error),
            missing => {
                link.settle_in(guests, missing, None).boxed().await?;
                Ok(link)
            }
        }
    }

    /// Takes in servers that were away, one by one as they come back.
    pub(crate) fn look_for_absent(&self, config: &QueueConfig, tasks: &TaskTracker) {
        let (inner, config) = (Arc::downgrade(&self.0), config.clone());
        if self.absent().is_empty() {
            return;
        }
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(link) = inner.upgrade().map(Self) else { return };
                for place in link.absent() {
                    match link.take_in(place, &config).await {
                        Ok(()) => tracing::info!(server = link.address(place), "the Redis server is back"),
                        Err(QueueError::Unreachable(error)) => tracing::debug!(%error, "a Redis server is still away"),
                        Err(error) => {
                            tracing::error!(server = link.address(place), %error, "the Redis server cannot be used");
                            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
                        }
                    }
                }
                if link.absent().is_empty() {
                    return;
                }
            }
        });
    }

    fn absent(&self) -> Vec<usize> {
        (0..self.servers()).filter(|place| self.0.servers[*place].get().is_none()).collect()
    }

    async fn take_in(&self, place: usize, config: &QueueConfig) -> Result<(), QueueError> {
        let guest = welcome(&self.0.addresses[place], config.replicas).boxed().await?;
        self.settle_in(HashMap::from([(place, guest)]), None, Some(config)).boxed().await
    }
}
