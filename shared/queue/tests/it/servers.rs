//! The queue on several servers, behind Sentinel, and on a cluster.

mod cluster;
mod moving;
mod replicas;
mod several;
mod takeover;

pub(crate) use replicas::replica_of;
