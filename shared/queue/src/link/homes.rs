//! Which server holds which shard. Every server keeps the whole list under its own random name; all lists together must
//! give each shard one of the configured servers, or nothing is started: a forgotten server is a queue of lost jobs.

use std::{
    collections::{HashMap, HashSet},
    sync::{OnceLock, atomic::Ordering},
};

use redis::Value;

use super::{Args, Link, Server, absent::Guest};
use crate::{config::QueueConfig, error::QueueError, keys, script, settings, wire};

/// Where a shard lives, by version: a later one wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
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

pub(super) type Entries = HashMap<u16, Entry>;

pub(super) async fn exchange(server: &Server, entries: &Entries) -> Result<(String, Entries), QueueError> {
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
    /// Takes these servers in, and learns the homes of all shards; on empty servers, spreads the shards evenly. Two processes
    /// that start at the same time decide alike, because the server whose name is first decides. If a server is missing, that
    /// is left to a time when it is not. With the queue that they must hold they are let in only if they do.
    pub(super) async fn settle_in(
        &self,
        guests: HashMap<usize, Guest>,
        missing: Option<QueueError>,
        queue: Option<&QueueConfig>,
    ) -> Result<(), QueueError> {
        let mut names: Vec<Option<String>> = vec![None; self.servers()];
        let mut known = Entries::new();
        let mut places: Vec<usize> = Vec::new();
        for (place, guest) in &guests {
            if guest.server.is_cluster() {
                return self.let_in(guests);
            }
            places.push(*place);
            names[*place] = Some(guest.name.clone());
            merge(&mut known, &guest.homes);
        }
        self.ask_present(&mut names, &mut known).await?;
        let mut seen = HashSet::new();
        if names.iter().flatten().any(|name| !seen.insert(name)) {
            return Err(QueueError::Servers("REDIS_URL names the same server twice".to_owned()));
        }
        if known.is_empty() {
            if let Some(error) = missing {
                return Err(error);
            }
            let first = places.iter().min_by_key(|place| &names[**place]).and_then(|place| guests.get(place));
            let first = first.ok_or_else(|| QueueError::Servers("REDIS_URL names no server".to_owned()))?;
            known = exchange(&first.server, &self.spread(&guests).await?).await?.1;
        }
        // A server that is new or was away when a shard moved learns it now.
        for server in guests.values().map(|guest| &guest.server).chain(self.present()) {
            match exchange(server, &known).await {
                Ok((_, entries)) => merge(&mut known, &entries),
                Err(QueueError::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let all_there = names.iter().all(Option::is_some);
        let homes = self.homes_of(&names, &known, all_there)?;
        if let Some((queue, first)) = queue.zip(homes.first().map(|home| usize::from(*home))) {
            let unknown = || self.at(first).ok().filter(|_| self.protocol() == 0);
            if let Some(server) = guests.get(&first).map(|guest| &guest.server).or_else(unknown) {
                settings::check_at(self, server, queue).await?;
            }
        }
        self.let_in(guests)?;
        self.move_to(&homes);
        Ok(())
    }

    fn let_in(&self, guests: HashMap<usize, Guest>) -> Result<(), QueueError> {
        for (place, guest) in guests {
            let (of_place, known) = (&self.0.servers[place], &self.0.names[place]);
            if known.set(guest.name).is_err() || of_place.set(guest.server).is_err() {
                return Err(QueueError::Servers(format!("the server at {} is there already", self.address(place))));
            }
        }
        Ok(())
    }

    fn present(&self) -> impl Iterator<Item = &Server> {
        self.0.servers.iter().filter_map(OnceLock::get)
    }

    /// What the servers that are there say. One that does not answer now keeps its name.
    async fn ask_present(&self, names: &mut [Option<String>], known: &mut Entries) -> Result<(), QueueError> {
        for (place, name) in self.0.names.iter().enumerate() {
            let (Some(name), Ok(server)) = (name.get(), self.at(place)) else { continue };
            names[place] = Some(name.clone());
            match exchange(server, &Entries::new()).await {
                Ok((_, entries)) => merge(known, &entries),
                Err(QueueError::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads the lists again, after a server said that a shard is not there.
    pub(crate) async fn look_again(&self) -> Result<(), QueueError> {
        let (mut names, mut known) = (vec![None; self.servers()], Entries::new());
        self.ask_present(&mut names, &mut known).await?;
        let all_there = names.iter().all(Option::is_some);
        self.move_to(&self.homes_of(&names, &known, all_there)?);
        Ok(())
    }

    /// Tells all servers that a shard lives at this place from now on; one that is away learns it later. Repeats change
    /// nothing.
    pub(crate) async fn rehome(&self, shard: u16, place: usize) -> Result<(), QueueError> {
        let (mut names, mut known) = (vec![None; self.servers()], Entries::new());
        self.ask_present(&mut names, &mut known).await?;
        let server = self.name_of(place)?;
        let version = known.get(&shard).map_or(1, |entry| entry.version);
        if known.get(&shard).is_none_or(|entry| entry.server != server) {
            known.insert(shard, Entry { version: version + 1, server });
        }
        // The new home first: whoever asks it must not be sent back.
        exchange(self.at(place)?, &known).await?;
        for server in self.present() {
            match exchange(server, &known).await {
                Ok(_) | Err(QueueError::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let all_there = names.iter().all(Option::is_some);
        self.move_to(&self.homes_of(&names, &known, all_there)?);
        Ok(())
    }

    /// The name of a server in the lists.
    pub(crate) fn name_of(&self, place: usize) -> Result<String, QueueError> {
        let name = self.0.names.get(place).and_then(OnceLock::get).cloned();
        name.ok_or_else(|| QueueError::Servers(format!("the server at {} is away", self.address(place))))
    }

    /// The first list: shards by turns, unless a server holds data from before it was one of several.
    async fn spread(&self, guests: &HashMap<usize, Guest>) -> Result<Entries, QueueError> {
        let mut only = None;
        for guest in guests.values() {
            let exists: bool = guest.server.command(redis::cmd("EXISTS").arg(keys::meta(0))).await?;
            if exists {
                only = Some(&guest.name);
            }
        }
        let mut order: Vec<&String> = guests.values().map(|guest| &guest.name).collect();
        order.sort();
        let shards = (0..).take(self.0.homes.len());
        Ok(shards
            .map(|shard: u16| {
                let server = only.unwrap_or(order[usize::from(shard) % order.len()]);
                (shard, Entry { version: 1, server: server.clone() })
            })
            .collect())
    }

    /// By shard the place of its server, out of range if that is on a server that is away.
    fn homes_of(&self, names: &[Option<String>], known: &Entries, all_there: bool) -> Result<Vec<u16>, QueueError> {
        let place_of = |shard| {
            let entry = known.get(&shard)?;
            let place = names.iter().position(|name| name.as_ref() == Some(&entry.server))?;
            u16::try_from(place).ok()
        };
        let homes: Vec<Option<u16>> = (0..).take(self.0.homes.len()).map(place_of).collect();
        let listed = (0..).take(self.0.homes.len()).all(|shard: u16| known.contains_key(&shard));
        let homeless = homes.iter().filter(|home| home.is_none()).count();
        if homeless > 0 && (all_there || !listed) {
            let first = homes.iter().position(Option::is_none).unwrap_or_default();
            let entry = u16::try_from(first).ok().and_then(|shard| known.get(&shard));
            let lives = entry.map_or("nowhere".to_owned(), |entry| format!("on server {}", entry.server));
            return Err(QueueError::Servers(format!(
                "{homeless} of {} shards are on no server that REDIS_URL names (shard {first} lives {lives}); name all servers \
                 of this queue, with their data",
                homes.len(),
            )));
        }
        Ok(homes.into_iter().map(|home| home.unwrap_or(u16::MAX)).collect())
    }

    fn move_to(&self, homes: &[u16]) {
        for (home, place) in self.0.homes.iter().zip(homes) {
            home.store(*place, Ordering::Release);
        }
    }
}

/// Whether an answer says that the shard has moved.
pub(super) fn moved(answer: &Result<Value, QueueError>) -> bool {
    matches!(answer, Err(QueueError::Unreachable(error)) if error.code() == Some("SHARDMOVED"))
}
