//! Moving the clock of programs under test with libfaketime: their wall clock, not their monotonic one.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

/// The C library stands second in the list of preloads, so that its `malloc` wins over the jemalloc that Debian's redis-server
/// is linked with: jemalloc asks for the time while it starts, libfaketime allocates while it starts, and Redis hangs.
fn preloads() -> String {
    let machine = std::env::consts::ARCH;
    format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1:/lib/{machine}-linux-gnu/libc.so.6")
}

/// A wall clock shared by all programs that are given its environment; it runs on, and can be set again at any moment.
#[derive(Debug, Clone)]
pub struct FakedTime {
    file: PathBuf,
    /// Programs look so many seconds apart whether it was set; 0 for at every look at the clock, which costs them much.
    every_s: u32,
}

impl FakedTime {
    /// A clock that shows `now` from now on. Its file lies in `folder`.
    pub fn starting_at(folder: &Path, now: DateTime<Utc>) -> Self {
        let time = Self { file: folder.join("faked-time"), every_s: 0 };
        time.set(now);
        time
    }

    /// Programs that are started with it see a new setting only after up to a second, and run much faster.
    #[must_use]
    pub const fn noticed_within_a_second(mut self) -> Self {
        self.every_s = 1;
        self
    }

    /// Sets the clock; programs see it at their next look.
    pub fn set(&self, now: DateTime<Utc>) {
        let offset = (now - real_now()).as_seconds_f64();
        // Renamed into place: a program that looks meanwhile sees the old or the new time, never half a number.
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, format!("{offset:+.6}")).expect("write the faked time");
        std::fs::rename(&draft, &self.file).expect("publish the faked time");
    }

    /// What the programs' clock shows.
    pub fn now(&self) -> DateTime<Utc> {
        let offset: f64 =
            std::fs::read_to_string(&self.file).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
        real_now() + chrono::TimeDelta::microseconds(rounded(offset * 1e6))
    }

    /// What makes a program see this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", preloads()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            match self.every_s {
                0 => ("FAKETIME_NO_CACHE", "1".to_owned()),
                seconds => ("FAKETIME_CACHE_DURATION", seconds.to_string()),
            },
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "microseconds of a few years fit")]
fn rounded(micros: f64) -> i64 {
    micros.round() as i64
}

#[expect(clippy::disallowed_methods, reason = "the offset is from the real time, which only this knows")]
fn real_now() -> DateTime<Utc> {
    Utc::now()
}
