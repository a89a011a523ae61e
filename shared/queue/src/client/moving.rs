//! Moving a shard from one server to another while everything runs.
//!
//! The gate of a shard (`lua/lib/gate.lua`) says what it takes. First no job is claimed any more; when no session holds one,
//! nothing is written any more, and everything is copied and compared; then the shard leaves its server for good, which must be on
//! that server's disk; then all servers are told its new home, and it opens there; at last the old copy is deleted. At most one
//! of the two is open at any time, even if a machine crashes and its server forgets its last moments.
//! If the command is killed before the shard has left, the shard opens again where it is within 15 s, and nothing of the move is
//! left but half a copy. That is begun anew when the command is run again, and deleted when the shard is moved to where it lives.
//! If it is killed after that, the shard waits until it is run again, which opens the copy and deletes the old one.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::FutureExt;
use redis::Value;

use super::QueueClient;
use crate::{error::QueueError, keys, link::Args, script, wire};

mod copying;

/// The hold of a command on its shard ends 15 s after its last step; it takes one much more often.
const STEP_EVERY: Duration = Duration::from_millis(50);
/// A log under `everysec` has surely been synced: only then may the copy open and the old one go.
const SYNCED_AFTER: Duration = Duration::from_millis(2_500);

/// What a move did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Keys that were copied.
    pub keys: u64,
    /// How long the shard took no writes: 2.5 s and as long as it took to copy it.
    pub closed_for: Duration,
}

/// A move that has not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// A command is at it.
    UnderWay,
    /// The shard has left its server and takes nothing, until it is moved to this place once more.
    Left {
        /// The place in `REDIS_URL`; none if no server there has the name.
        to: Option<usize>,
    },
    /// Half a copy lies at this place. The shard works where it lives; moving it there deletes the half.
    HalfCopy {
        /// The place in `REDIS_URL`.
        at: usize,
    },
}

impl QueueClient {
    /// What is left of a move of this shard, at the servers that are there.
    pub async fn unfinished_move(&self, shard: u16) -> Result<Option<Unfinished>, QueueError> {
        let home = self.home_of(shard);
        let mut half = None;
        for server in 0..self.link().servers() {
            if self.link().at(server).is_err() {
                continue;
            }
            let gate: HashMap<String, String> = self.gate_of(shard, server).await?.into_iter().collect();
            match (gate.get("move").map(String::as_str), server == home) {
                (Some("draining" | "moving"), true) => {
                    let mut mover = redis::cmd("EXISTS");
                    mover.arg(format!("{}mover", keys::prefix(shard)));
                    if self.link().at(server)?.command(&mover).await? {
                        return Ok(Some(Unfinished::UnderWay));
                    }
                }
                (Some("moved"), true) => {
                    let is_target = |place: &usize| self.link().name_of(*place).ok().as_ref() == gate.get("to");
                    return Ok(Some(Unfinished::Left { to: (0..self.link().servers()).find(is_target) }));
                }
                (Some("arriving"), true) => return Ok(Some(Unfinished::Left { to: Some(home) })),
                (Some("arriving"), false) => half = Some(Unfinished::HalfCopy { at: server }),
                _ => {}
            }
        }
        Ok(half)
    }

    async fn gate_of(&self, shard: u16, server: usize) -> Result<Vec<(String, String)>, QueueError> {
        let command = redis::Cmd::hgetall(format!("{}gate", keys::prefix(shard)));
        self.link().at(server)?.command(&command).await
    }

    /// The place in `REDIS_URL`, from 0, of the server that holds a shard.
    pub fn home_of(&self, shard: u16) -> usize {
        self.link().home(shard)
    }

    /// Moves a shard to the server at this place in `REDIS_URL`. Its running jobs get `patience` to end, and it takes no writes
    /// while it is copied; callers wait or are told to come back. If it fails before the shard has left, everything is as
    /// before; after it was killed, run it again. All processes must know of gates: they are of this version or a later one.
    pub async fn move_shard(&self, shard: u16, to: usize, patience: Duration) -> Result<Moved, QueueError> {
        let servers = self.link().servers();
        if shard >= self.shards() {
            return Err(QueueError::invalid("shard", format!("there are {}, counted from 0", self.shards())));
        }
        if servers < 2 {
            let only = "REDIS_URL names one only: it must name the one to move to as well, for all processes";
            return Err(QueueError::invalid("server", only));
        }
        if to >= servers {
            return Err(QueueError::invalid("server", format!("REDIS_URL names {servers}, counted from 0")));
        }
        self.link().look_again().await?;
        let name = self.link().name_of(to)?;
        let moving = Moving { client: self, shard, from: self.link().home(shard), to, name, token: token() };
        moving.run(patience).boxed().await // so that the types of its callers stay small
    }
}

fn token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// One command's attempt.
struct Moving<'a> {
    client: &'a QueueClient,
    shard: u16,
    from: usize,
    to: usize,
    /// Of the target, in the lists of homes.
    name: String,
    token: String,
}

impl Moving<'_> {
    async fn run(&self, patience: Duration) -> Result<Moved, QueueError> {
        let mut moved = Moved { keys: 0, closed_for: Duration::ZERO };
        if self.from == self.to {
            // Perhaps a command was killed, before the shard had left or after it.
            match self.step(self.from, "give_up", &[]).await?.as_str() {
                "busy" => return Err(busy()),
                "moved" => return Err(refused("it has left for another server: move it there first")),
                "ok" => self.drop_halves().boxed().await?,
                _ => {}
            }
            self.settle(false).await?;
            return Ok(moved);
        }
        match self.step(self.from, "begin", &[]).await?.as_str() {
            "ok" => {
                if let Err(error) = self.empty_and_copy(patience, &mut moved).boxed().await {
                    // Until the shard has left, there is a way back; afterwards this changes nothing.
                    self.step(self.from, "give_up", &[]).await?;
                    return Err(error);
                }
            }
            // A command was killed before it told the servers.
            "moved" if self.leads_here().await? => self.leaving_is_on_disk().await?,
            "busy" => return Err(busy()),
            "arriving" => return Err(refused("it has not opened yet where it is: move it there first")),
            _ => return Err(refused("a move to another server was begun: finish that first")),
        }
        self.settle(true).await?;
        Ok(moved)
    }

    async fn empty_and_copy(&self, patience: Duration, moved: &mut Moved) -> Result<(), QueueError> {
        let till = Instant::now() + patience;
        loop {
            match self.step(self.from, "close", &[]).await?.as_str() {
                "ok" => break,
                "held" => {}
                _ => return Err(busy()),
            }
            if Instant::now() > till {
                return Err(refused("its running jobs did not end in time"));
            }
            tokio::time::sleep(STEP_EVERY).await;
        }
        let closed = Instant::now();
        let gate: Vec<(String, String)> = self.read_gate(self.from).await?;
        let limits: Vec<String> = gate
            .into_iter()
            .filter(|(field, _)| field.starts_with('d'))
            .flat_map(|(field, limit)| [field, limit])
            .collect();
        if self.step(self.to, "receive", &limits).await? != "ok" {
            return Err(refused("the server it is to move to holds it, too"));
        }
        self.clear(self.to, true).await?;
        moved.keys = self.copy().await?;
        self.compare(moved.keys).await?;
        if self.step(self.from, "leave", &[]).await? != "ok" {
            return Err(refused("another command took over"));
        }
        self.leaving_is_on_disk().await?;
        moved.closed_for = closed.elapsed();
        Ok(())
    }

    /// Waits until the source cannot forget any more that the shard has left: if its machine crashed before, it would come back
    /// and take jobs beside the copy. By then the copy is on disk, too.
    async fn leaving_is_on_disk(&self) -> Result<(), QueueError> {
        tokio::time::sleep(SYNCED_AFTER).await;
        match self.step(self.from, "leave", &[]).await?.as_str() {
            "moved" => Ok(()),
            _ => Err(refused("its server was restarted and forgot that the shard had left: move it again")),
        }
    }

    /// The shard has left, or never was elsewhere: it opens at its home, and copies elsewhere are deleted, at once if it is known
    /// that the copy here is on disk.
    async fn settle(&self, on_disk: bool) -> Result<(), QueueError> {
        self.client.link().rehome(self.shard, self.to).await?;
        let arrived = self.step(self.to, "open", &[]).await?;
        let mut waited = on_disk || arrived != "ok";
        for server in 0..self.client.link().servers() {
            let away = self.client.link().at(server).is_err();
            if server != self.to
                && !away
                && self.read_gate(server).await?.contains(&("move".to_owned(), "moved".to_owned()))
            {
                if !waited {
                    tokio::time::sleep(SYNCED_AFTER).await;
                    waited = true;
                }
                self.clear(server, false).await?;
            }
        }
        Ok(())
    }

    /// The shard lives here, so copies elsewhere that never opened are of no use. Meanwhile no other command may begin one.
    async fn drop_halves(&self) -> Result<(), QueueError> {
        for server in (0..self.client.link().servers()).filter(|server| *server != self.from) {
            let away = self.client.link().at(server).is_err();
            if away || !self.read_gate(server).await?.contains(&("move".to_owned(), "arriving".to_owned())) {
                continue;
            }
            if self.step(self.from, "begin", &[]).await? != "ok" {
                return Err(busy());
            }
            let dropped = match self.clear(server, true).await {
                Ok(()) => self.step(server, "drop", &[]).await.map(drop),
                failed => failed,
            };
            self.step(self.from, "give_up", &[]).await?;
            dropped?;
        }
        Ok(())
    }

    /// The shard stays closed only as long as this is said.
    async fn hold(&self) -> Result<(), QueueError> {
        match self.step(self.from, "hold", &[]).await?.as_str() {
            "ok" => Ok(()),
            _ => Err(refused("it took too long between two steps, and the shard went on")),
        }
    }

    async fn leads_here(&self) -> Result<bool, QueueError> {
        Ok(self.read_gate(self.from).await?.contains(&("to".to_owned(), self.name.clone())))
    }

    async fn read_gate(&self, server: usize) -> Result<Vec<(String, String)>, QueueError> {
        self.client.gate_of(self.shard, server).await
    }

    async fn step(&self, server: usize, step: &str, more: &[String]) -> Result<String, QueueError> {
        let mut args: Args = vec![step.into(), self.token.as_str().into(), self.name.as_str().into()];
        args.extend(more.iter().map(|word| word.as_bytes().to_vec()));
        let answer: Value = self.client.link().at(server)?.call(&script::MOVE, &keys::jobs(self.shard), &args).await?;
        wire::text(answer)
    }
}

fn busy() -> QueueError {
    refused("another command is moving it, or was killed less than 15 s ago")
}

fn refused(reason: &str) -> QueueError {
    QueueError::invalid("moving the shard", reason)
}
