//! Which server holds which shard. Every server keeps the whole list under its own random name; all lists together must
//! give each shard one of the configured servers, or nothing is started: a forgotten server is a queue of lost jobs.

use std::{collections::HashMap, sync::atomic::Ordering};

use redis::Value;

use super::{Args, Link, Server};
use crate::{error::QueueError, keys, script, wire};

/// Where a shard lives, by version: a later one wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    version: u64,
    server: String,
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let (version, server) = text.split_once(' ')?;
        Some(Self { version: version.parse().ok()?, server: server.to_owned() })
    }

    fn text(&self) -> String {
        format!("{} {}", self.version, self.server)
    }
}

type Entries = HashMap<u16, Entry>;

async fn exchange(server: &Server, entries: &Entries) -> Result<(String, Entries), QueueError> {
    let mut args: Args = vec![format!("{:016x}", rand::random::<u64>()).into_bytes()];
    for (shard, entry) in entries {
        args.push(shard.to_string().into_bytes());
        args.push(entry.text().into_bytes());
    }
    let [name, list] = wire::fields(server.call(&script::HOMES, &keys::homes(), &args).await?)?;
    let mut known = Entries::new();
    for pair in wire::list(list)?.chunks_exact(2) {
        let (shard, entry) = (wire::text(pair[0].clone())?, wire::text(pair[1].clone())?);
        let unreadable = || QueueError::Corrupt(format!("home {entry:?} of shard {shard:?}"));
        known.insert(shard.parse().map_err(|_| unreadable())?, Entry::parse(&entry).ok_or_else(unreadable)?);
    }
    Ok((wire::text(name)?, known))
}

fn merge(into: &mut Entries, from: &Entries) {
    for (shard, entry) in from {
        if into.get(shard).is_none_or(|known| known < entry) {
            into.insert(*shard, entry.clone());
        }
    }
}

impl Link {
    /// Learns the homes of all shards; on empty servers, spreads the shards evenly. Two processes that start at the same
    /// time decide alike, because the server whose name is first decides.
    pub(crate) async fn settle_in(&self) -> Result<(), QueueError> {
        let servers = self.servers();
        if servers.len() == 1 && servers[0].is_cluster() {
            return Ok(());
        }
        let (mut names, mut known) = (Vec::new(), Entries::new());
        for server in servers {
            let (name, entries) = exchange(server, &Entries::new()).await?;
            if names.contains(&name) {
                return Err(QueueError::Servers("REDIS_URL names the same server twice".to_owned()));
            }
            names.push(name);
            merge(&mut known, &entries);
        }
        if known.is_empty() {
            let first = (0..names.len()).min_by_key(|place| &names[*place]).unwrap_or_default();
            known = exchange(&servers[first], &self.spread(&names).await?).await?.1;
        }
        // A server that is new or was away when a shard moved learns it now.
        for server in servers {
            let (_, entries) = exchange(server, &known).await?;
            merge(&mut known, &entries);
        }
        self.move_in(&names, &known)
    }

    /// Reads the lists again, after a server said that a shard is not there.
    pub(crate) async fn look_again(&self) -> Result<(), QueueError> {
        let (mut names, mut known) = (Vec::new(), Entries::new());
        for server in self.servers() {
            let (name, entries) = exchange(server, &Entries::new()).await?;
            names.push(name);
            merge(&mut known, &entries);
        }
        self.move_in(&names, &known)
    }

    /// The first list: shards by turns, unless a server holds data from before it was one of several.
    async fn spread(&self, names: &[String]) -> Result<Entries, QueueError> {
        let mut only = None;
        for (place, server) in self.servers().iter().enumerate() {
            let exists: bool = server.command(redis::cmd("EXISTS").arg(keys::meta(0))).await?;
            if exists {
                only = Some(place);
            }
        }
        let mut order: Vec<&String> = names.iter().collect();
        order.sort();
        let shards = (0..).take(self.0.homes.len());
        Ok(shards
            .map(|shard: u16| {
                let server = only.map_or(order[usize::from(shard) % order.len()], |place| &names[place]);
                (shard, Entry { version: 1, server: server.clone() })
            })
            .collect())
    }

    fn move_in(&self, names: &[String], known: &Entries) -> Result<(), QueueError> {
        let mut homeless = Vec::new();
        for (shard, home) in (0..).zip(&self.0.homes) {
            let place = known.get(&shard).and_then(|entry| names.iter().position(|name| *name == entry.server));
            match place.and_then(|place| u16::try_from(place).ok()) {
                Some(place) => home.store(place, Ordering::Release),
                None => homeless.push(shard),
            }
        }
        if let Some(shard) = homeless.first() {
            let lives = known.get(shard).map_or("nowhere".to_owned(), |entry| format!("on server {}", entry.server));
            return Err(QueueError::Servers(format!(
                "{} of {} shards are on no server that REDIS_URL names (shard {shard} lives {lives}); name all servers of \
                 this queue, with their data",
                homeless.len(),
                self.0.homes.len(),
            )));
        }
        Ok(())
    }
}

/// Whether an answer says that the shard has moved.
pub(super) fn moved(answer: &Result<Value, QueueError>) -> bool {
    matches!(answer, Err(QueueError::Refused(error)) if error.code() == Some("SHARDMOVED"))
}
