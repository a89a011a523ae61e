//! Lines of the log on their way out. A thread of their own writes them, so that whoever logs never waits for whoever reads: a reader
//! that stops would stop the process, as SIGSTOP does, and its jobs would be given to others. What a reader does not take in time is
//! lost, and counted.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What may wait: some twenty thousand lines.
const MOST_BYTES: usize = 4 << 20;
/// After this long it is tried again to write to a pipe that does not wait by itself.
const WRITE_AGAIN: Duration = Duration::from_millis(10);

/// Why lines were lost.
const UNREAD: &str = "nobody read them in time";
const UNWRITTEN: &str = "they could not be written";

/// The way out. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    came: Condvar,
    went: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines, one after the other.
    waiting: Vec<u8>,
    /// The thread has taken some that are not written yet.
    writing: bool,
    /// Lines that were lost and not told of.
    lost: u64,
}

impl Lines {
    /// Writes to `out`, for as long as the process lives. `tell` is called between two writes, with how many lines were
    /// lost and why, and may log.
    pub(super) fn write_to(&self, out: impl Write + Send + 'static, tell: fn(u64, &str)) -> io::Result<()> {
        let lines = self.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || lines.keep_writing(out, tell))?;
        Ok(())
    }

    /// Waits until all is written, at most so long; whether it is.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let is_under_way = |state: &mut State| state.writing || !state.waiting.is_empty();
        let waited = self.0.went.wait_timeout_while(self.state(), patience, is_under_way);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !is_under_way(&mut state)
    }

    fn keep_writing(&self, mut out: impl Write, tell: fn(u64, &str)) {
        let mut taken = Vec::new();
        // What is written ends amid a line, and so many lines could not be written.
        let (mut cut, mut failed) = (false, 0);
        loop {
            let nothing = |state: &mut State| state.waiting.is_empty() && state.lost == 0;
            let waited = self.0.came.wait_while(self.state(), nothing);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut state.waiting, &mut taken);
            let lost = mem::take(&mut state.lost);
            state.writing = true;
            drop(state);
            if lost > 0 {
                // There is room for this now.
                tell(lost, UNREAD);
            }
            cut = cut && !write(&mut out, b"\n").is_empty();
            let unwritten = if cut { &taken[..] } else { write(&mut out, &taken) };
            if let Some(last) = taken.len().checked_sub(unwritten.len() + 1) {
                cut = taken.get(last) != Some(&b'\n');
            }
            let lines = unwritten.split_inclusive(|byte| *byte == b'\n').count() as u64;
            if lines > 0 {
                failed += lines;
                super::count_lost(lines);
            } else if failed > 0 && !taken.is_empty() {
                // Only now: where nothing can be written, telling it would be lost, too, and told again and again.
                tell(mem::take(&mut failed), UNWRITTEN);
            }
            let mut state = self.state();
            state.writing = false;
            drop(state);
            self.0.went.notify_all();
            taken.clear();
            // After a burst its memory is given back.
            taken.shrink_to(MOST_BYTES / 16);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each call brings one whole line. It never waits.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.waiting.len() + line.len() > MOST_BYTES {
            state.lost += 1;
            drop(state);
            super::count_lost(1);
        } else {
            state.waiting.extend_from_slice(line);
            drop(state);
        }
        self.0.came.notify_one();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines; returns what could not be written, because the disk is full or nobody will ever read it.
fn write<'a>(out: &mut impl Write, mut lines: &'a [u8]) -> &'a [u8] {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(0) => break,
            Ok(written) => lines = lines.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(WRITE_AGAIN),
            Err(_) => break,
        }
    }
    let _ = out.flush();
    lines
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use super::*;

    static TOLD: AtomicU64 = AtomicU64::new(0);

    #[test]
    fn a_reader_that_stops_stops_nobody_and_what_is_lost_is_counted() {
        let (reader, writer) = UnixStream::pair().unwrap();
        let mut lines = Lines::default();
        let tell = |lost, _: &str| {
            TOLD.fetch_add(lost, Ordering::SeqCst);
        };
        lines.write_to(writer, tell).unwrap();
        let all = 200_000;
        for number in 0..all {
            lines.write_all(format!("{number:063}\n").as_bytes()).unwrap();
        }
        assert!(!lines.flush(Duration::from_millis(10)), "nobody reads");

        let mut read = BufReader::new(reader).lines();
        let mut next = 0;
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut found = 0;
        while found + TOLD.load(Ordering::SeqCst) < all {
            assert!(Instant::now() < deadline, "{found} read, {TOLD:?} told to be lost");
            // More comes as long as not all that was not lost is read.
            let number: u64 = read.next().unwrap().unwrap().parse().unwrap();
            assert!(number >= next, "lines stay whole and in order");
            (next, found) = (number + 1, found + 1);
        }
        assert!(lines.flush(Duration::from_secs(5)));
        let told = TOLD.load(Ordering::SeqCst);
        assert!(told > all / 4, "four megabytes wait, as many are being written, and the socket holds some: {told}");
    }

    /// A file on a disk that has room for so many bytes.
    #[derive(Clone, Default)]
    struct File(Arc<Mutex<(Vec<u8>, usize)>>);

    impl File {
        fn room(&self, bytes: usize) {
            self.0.lock().unwrap().1 = bytes;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
        }
    }

    impl Write for File {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (file, room) = &mut *self.0.lock().unwrap();
            let fitting = bytes.len().min(*room);
            if fitting == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            *room -= fitting;
            file.extend_from_slice(&bytes[..fitting]);
            Ok(fitting)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_did_not_take_is_told_and_no_line_goes_on_in_another() {
        static TOLD: AtomicU64 = AtomicU64::new(0);
        let file = File::default();
        let mut lines = Lines::default();
        let tell = |lost, _: &str| {
            TOLD.fetch_add(lost, Ordering::SeqCst);
        };
        lines.write_to(file.clone(), tell).unwrap();
        let mut log = |text: &[u8]| {
            lines.write_all(text).unwrap();
            assert!(lines.flush(Duration::from_secs(5)));
        };
        file.room(6);
        log(b"one\n");
        log(b"two\n");
        log(b"three\n");
        assert_eq!((file.text().as_str(), TOLD.load(Ordering::SeqCst)), ("one\ntw", 0), "nowhere to tell it");
        file.room(1);
        log(b"four\n");
        assert_eq!(TOLD.load(Ordering::SeqCst), 0);
        file.room(100);
        log(b"five\n");
        assert_eq!((file.text().as_str(), TOLD.load(Ordering::SeqCst)), ("one\ntw\nfive\n", 3));
        log(b"six\n");
        assert_eq!((file.text().as_str(), TOLD.load(Ordering::SeqCst)), ("one\ntw\nfive\nsix\n", 3), "told once");
    }

    #[test]
    fn what_nobody_will_read_is_dropped() {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let mut lines = Lines::default();
        lines.write_to(writer, |_, _| ()).unwrap();
        lines.write_all(b"one\n").unwrap();
        assert!(lines.flush(Duration::from_secs(5)));
    }
}
