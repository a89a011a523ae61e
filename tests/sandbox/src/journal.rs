//! An append-only file of records, synced before anyone is told.
//!
//! One thread owns the file. It takes all records that wait, writes them, syncs once and only then runs their
//! `durable` closures, in file order: concurrent connections share one sync. A record that could not be written drops
//! its closure unrun, which its waiter sees as an error. Without a file, records are durable at once.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One record: a JSON head and raw bytes (a whole message, or nothing).
#[derive(Debug)]
pub struct Record {
    pub head: Value,
    pub body: Bytes,
}

/// First line of a record in the file; `bytes` raw bytes and a line feed follow.
#[derive(Serialize, Deserialize)]
struct Frame {
    bytes: usize,
    head: Value,
}

type Durable = Box<dyn FnOnce() + Send>;

enum Order {
    Append(Vec<u8>, Bytes, Durable),
    Sync(Durable),
    Clear,
}

/// Handle to the writer thread; dropping it writes what waits and closes the file.
#[derive(Debug)]
pub struct Journal {
    orders: Option<Sender<Order>>,
    writer: Option<JoinHandle<()>>,
}

impl Journal {
    /// A journal without a file.
    pub fn in_memory() -> Self {
        Self { orders: None, writer: None }
    }

    pub fn is_in_memory(&self) -> bool {
        self.orders.is_none()
    }

    /// Opens or creates the file, returns what stands in it, and cuts off a torn last record.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Record>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let (records, good) = read_records(&mut file)?;
        file.set_len(good)?;
        file.seek(SeekFrom::End(0))?;
        let (orders, receiver) = channel();
        let writer = std::thread::Builder::new().name("journal".into()).spawn(move || write(file, &receiver))?;
        Ok((Self { orders: Some(orders), writer: Some(writer) }, records))
    }

    /// Appends a record; `durable` runs once it is on disk.
    pub fn append(&self, head: Value, body: Bytes, durable: impl FnOnce() + Send + 'static) {
        let Some(orders) = &self.orders else { return durable() };
        let frame = Frame { bytes: body.len(), head };
        let mut line = serde_json::to_vec(&frame).unwrap_or_default();
        line.push(b'\n');
        // A closed channel means that the writer failed: the closure is dropped and its waiter told.
        let _ = orders.send(Order::Append(line, body, Box::new(durable)));
    }

    /// Runs `durable` once everything appended so far is on disk.
    pub fn sync(&self, durable: impl FnOnce() + Send + 'static) {
        match &self.orders {
            Some(orders) => _ = orders.send(Order::Sync(Box::new(durable))),
            None => durable(),
        }
    }

    /// Empties the file.
    pub fn clear(&self) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(Order::Clear);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn read_records(file: &mut File) -> io::Result<(Vec<Record>, u64)> {
    let (mut records, mut good) = (Vec::new(), 0_u64);
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let head_bytes = reader.read_until(b'\n', &mut line)?;
        let Ok(frame) = serde_json::from_slice::<Frame>(&line) else { return Ok((records, good)) };
        let mut body = Vec::new();
        reader.by_ref().take(frame.bytes as u64 + 1).read_to_end(&mut body)?;
        if body.len() != frame.bytes + 1 {
            return Ok((records, good));
        }
        body.truncate(frame.bytes);
        good += (head_bytes + frame.bytes + 1) as u64;
        records.push(Record { head: frame.head, body: body.into() });
    }
}

fn write(mut file: File, orders: &Receiver<Order>) {
    while let Ok(first) = orders.recv() {
        let mut settled = Vec::new();
        for order in std::iter::once(first).chain(orders.try_iter()) {
            let written = match order {
                Order::Append(line, body, durable) => {
                    settled.push(durable);
                    file.write_all(&line).and_then(|()| file.write_all(&body)).and_then(|()| file.write_all(b"\n"))
                }
                Order::Sync(durable) => {
                    settled.push(durable);
                    Ok(())
                }
                Order::Clear => file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map(|_| ()),
            };
            if let Err(error) = written {
                tracing::error!(%error, "the journal cannot be written; nothing more is accepted");
                return;
            }
        }
        if let Err(error) = file.sync_data() {
            tracing::error!(%error, "the journal cannot be synced; nothing more is accepted");
            return;
        }
        for durable in settled {
            durable();
        }
    }
}
