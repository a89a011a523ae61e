//! Copying, comparing and deleting the keys of a shard, in bounded steps: nothing writes to them meanwhile.

use futures::{FutureExt, future::try_join_all};
use redis::{Cmd, Value, cmd};

use super::{Moving, refused};
use crate::{error::QueueError, keys, wire};

/// Keys looked at in one step.
const PAGE: usize = 256;
/// A key with no more elements is copied as a whole, unless it may hold records, which may be large; others in steps of so many.
const WHOLE: u64 = 128;
const ELEMENTS: usize = 256;
/// Bytes of a step: one in which elements are so large that it has more is followed by a smaller one.
const STEP_BYTES: usize = 512 << 10;
/// A table's first step, of which nobody knows yet how large its elements are.
const FIRST_ELEMENTS: usize = 4;

/// A key, and how much it holds.
struct Held {
    key: Vec<u8>,
    kind: String,
    length: u64,
}

/// What counts the elements of a kind of key.
fn counting(kind: &str, key: &[u8]) -> Cmd {
    let mut command = cmd(match kind {
        "hash" => "HLEN",
        "list" => "LLEN",
        "set" => "SCARD",
        "zset" => "ZCARD",
        _ => "STRLEN",
    });
    command.arg(key);
    command
}

impl Moving<'_> {
    async fn ask(&self, server: usize, command: Cmd) -> Result<Value, QueueError> {
        self.client.link().at(server)?.command(&command).boxed().await
    }

    /// The next keys of the shard there, and where to go on; 0 at the end. What belongs to the move itself is left out.
    async fn page(&self, server: usize, from: u64) -> Result<(u64, Vec<Vec<u8>>), QueueError> {
        let pattern = format!("{}*", keys::tag(self.shard));
        let mut command = cmd("SCAN");
        command.arg(from).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE);
        let [next, found] = wire::fields(self.ask(server, command).await?)?;
        let next =
            wire::text(next)?.parse().map_err(|_| QueueError::Corrupt("a cursor that is no number".to_owned()))?;
        let own = ["gate", "mover"].map(|name| format!("{}{name}", keys::prefix(self.shard)).into_bytes());
        let found = wire::list(found)?.into_iter().map(wire::bytes).collect::<Result<Vec<_>, _>>()?;
        Ok((next, found.into_iter().filter(|key| !own.contains(key)).collect()))
    }

    async fn look(&self, server: usize, key: Vec<u8>) -> Result<Held, QueueError> {
        let mut kind = cmd("TYPE");
        kind.arg(&key);
        let kind = wire::text(self.ask(server, kind).await?)?;
        let length = wire::integer(&self.ask(server, counting(&kind, &key)).await?)?.unsigned_abs();
        Ok(Held { key, kind, length })
    }

    /// Deletes what stands there of the shard, which this command may hold meanwhile: a server with many keys takes longer to be
    /// looked through than a hold lasts.
    pub(super) async fn clear(&self, server: usize, held: bool) -> Result<(), QueueError> {
        let mut from = 0;
        loop {
            let (next, keys) = self.page(server, from).await?;
            if !keys.is_empty() {
                let mut command = cmd("UNLINK");
                command.arg(keys);
                self.ask(server, command).await?;
            }
            if held {
                self.hold().await?;
            }
            if next == 0 {
                return Ok(());
            }
            from = next;
        }
    }

    /// Copies everything; how many keys.
    pub(super) async fn copy(&self) -> Result<u64, QueueError> {
        let (mut from, mut copied) = (0, std::collections::HashSet::new());
        loop {
            let (next, keys) = self.page(self.from, from).await?;
            // A scan may show a key twice.
            let fresh: Vec<_> = keys.into_iter().filter(|key| copied.insert(key.clone())).collect();
            for some in fresh.chunks(16) {
                try_join_all(some.iter().map(|key| self.copy_key(key.clone()))).await?;
            }
            self.hold().await?;
            if next == 0 {
                return Ok(copied.len() as u64);
            }
            from = next;
        }
    }

    async fn copy_key(&self, key: Vec<u8>) -> Result<(), QueueError> {
        let held = self.look(self.from, key).await?;
        let mut expires = cmd("PEXPIRETIME");
        expires.arg(&held.key);
        let expires = wire::integer(&self.ask(self.from, expires).await?)?;
        if held.kind == "string" || (held.length <= WHOLE && held.kind != "hash") {
            let mut dump = cmd("DUMP");
            dump.arg(&held.key);
            let dump = self.ask(self.from, dump).await?;
            if dump == Value::Nil {
                return Ok(()); // its time is over
            }
            let mut restore = cmd("RESTORE");
            restore.arg(&held.key).arg(expires.max(0)).arg(wire::bytes(dump)?).arg("REPLACE").arg("ABSTTL");
            self.ask(self.to, restore).await?;
            return Ok(());
        }
        if held.kind == "list" {
            self.copy_list(&held).await?;
        } else {
            self.copy_table(&held).await?;
        }
        if expires > 0 {
            let mut till = cmd("PEXPIREAT");
            till.arg(&held.key).arg(expires);
            self.ask(self.to, till).await?;
        }
        Ok(())
    }

    async fn copy_list(&self, held: &Held) -> Result<(), QueueError> {
        for first in (0..held.length).step_by(ELEMENTS) {
            let mut range = cmd("LRANGE");
            range.arg(&held.key).arg(first).arg(first + ELEMENTS as u64 - 1);
            let some = wire::list(self.ask(self.from, range).await?)?;
            let mut push = cmd("RPUSH");
            push.arg(&held.key);
            for element in some {
                push.arg(wire::bytes(element)?);
            }
            self.ask(self.to, push).await?;
            self.hold().await?;
        }
        Ok(())
    }

    async fn copy_table(&self, held: &Held) -> Result<(), QueueError> {
        let (scan, write) = match held.kind.as_str() {
            "hash" => ("HSCAN", "HSET"),
            "set" => ("SSCAN", "SADD"),
            "zset" => ("ZSCAN", "ZADD"),
            other => return Err(QueueError::Corrupt(format!("a key of type {other}"))),
        };
        let (mut from, mut most) = (b"0".to_vec(), if held.kind == "hash" { FIRST_ELEMENTS } else { ELEMENTS });
        loop {
            let mut command = cmd(scan);
            command.arg(&held.key).arg(&from).arg("COUNT").arg(most);
            let [next, some] = wire::fields(self.ask(self.from, command).await?)?;
            let some = wire::list(some)?.into_iter().map(wire::bytes).collect::<Result<Vec<_>, _>>()?;
            most = match some.iter().map(Vec::len).sum::<usize>() {
                ..STEP_BYTES => (2 * most).min(ELEMENTS),
                _ => (most / 2).max(1),
            };
            if !some.is_empty() {
                let mut put = cmd(write);
                put.arg(&held.key);
                if held.kind == "zset" {
                    for pair in some.chunks_exact(2) {
                        put.arg(&pair[1]).arg(&pair[0]);
                    }
                } else {
                    put.arg(some);
                }
                self.ask(self.to, put).await?;
            }
            self.hold().await?;
            from = wire::bytes(next)?;
            if from == b"0" {
                return Ok(());
            }
        }
    }

    /// Whether the copy has every key of the source, each with as many elements, and no other.
    pub(super) async fn compare(&self, copied: u64) -> Result<(), QueueError> {
        let (mut from, mut seen) = (0, std::collections::HashSet::new());
        loop {
            let (next, keys) = self.page(self.from, from).await?;
            for some in keys.chunks(16) {
                try_join_all(some.iter().map(|key| self.compare_key(key.clone()))).await?;
            }
            seen.extend(keys);
            self.hold().await?;
            if next == 0 {
                break;
            }
            from = next;
        }
        // Keys may have ended on their own meanwhile; none can have been added.
        if seen.len() as u64 > copied { Err(refused("the source was written to meanwhile")) } else { Ok(()) }
    }

    async fn compare_key(&self, key: Vec<u8>) -> Result<(), QueueError> {
        let copy = self.look(self.to, key.clone()).await?;
        let source = self.look(self.from, key.clone()).await?;
        if source.kind == "none" || (source.kind, source.length) == (copy.kind, copy.length) {
            return Ok(());
        }
        let mut left = cmd("PTTL");
        left.arg(&key);
        if (0..2_000).contains(&wire::integer(&self.ask(self.from, left).await?)?) {
            return Ok(()); // it ends in this moment
        }
        Err(refused(&format!("the copy of {} differs", String::from_utf8_lossy(&key))))
    }
}
