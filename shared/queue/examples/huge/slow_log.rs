//! What Redis's slow log says about each phase.

use std::collections::BTreeMap;

use postrider_queue::script_name;
use redis::{Value, aio::MultiplexedConnection};

use crate::Failure;

/// A call may take so long.
const LIMIT_MICROS: u64 = 5_000;
/// Shorter calls are not in the log.
const NOTICED_MICROS: u64 = 1_000;
/// A loop that touches no key: what it takes at most beyond its usual time is the machine's doing, not a script's.
const YARDSTICK: &str = "local n = 0 for i = 1, 60000 do n = n + i end return n";

/// The worst of one script in one phase.
struct Row {
    phase: &'static str,
    script: &'static str,
    noticed: usize,
    /// Of those that were noticed.
    median: u64,
    over: usize,
    worst: u64,
}

/// The calls over a millisecond since the last look.
pub(crate) struct SlowLog {
    redis: MultiplexedConnection,
    rows: Vec<Row>,
    yardstick: Vec<u64>,
}

impl SlowLog {
    pub(crate) async fn of(redis: MultiplexedConnection) -> Result<Self, Failure> {
        let mut redis = redis;
        for (setting, value) in [("slowlog-log-slower-than", NOTICED_MICROS), ("slowlog-max-len", 50_000)] {
            redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).exec_async(&mut redis).await?;
        }
        let mut slow = Self { redis, rows: Vec::new(), yardstick: Vec::new() };
        slow.forget().await?;
        Ok(slow)
    }

    pub(crate) async fn forget(&mut self) -> Result<(), Failure> {
        Ok(redis::cmd("SLOWLOG").arg("RESET").exec_async(&mut self.redis).await?)
    }

    /// Notes what the scripts took since the last look.
    pub(crate) async fn tell(&mut self, phase: &'static str) -> Result<(), Failure> {
        for _ in 0..50 {
            redis::cmd("EVAL").arg(YARDSTICK).arg(0).exec_async(&mut self.redis).await?;
        }
        let entries: Vec<Vec<Value>> = redis::cmd("SLOWLOG").arg("GET").arg(-1).query_async(&mut self.redis).await?;
        let mut worst: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
        for entry in entries {
            let (Some(Value::Int(took)), Some(Value::Array(words))) = (entry.get(2), entry.get(3)) else {
                continue;
            };
            let word = |at: usize| match words.get(at) {
                Some(Value::BulkString(word)) => std::str::from_utf8(word).unwrap_or_default(),
                _ => "",
            };
            // Commands inside of scripts are in the log, too, and so is this look.
            match word(0) {
                "EVALSHA" => {
                    worst.entry(script_name(word(1)).unwrap_or("?")).or_default().push(took.unsigned_abs());
                }
                "EVAL" if word(1) == YARDSTICK => self.yardstick.push(took.unsigned_abs()),
                _ => {}
            }
        }
        if worst.is_empty() {
            tracing::info!("{phase:<42} nothing over 1 ms");
        }
        for (script, mut micros) in worst {
            micros.sort_unstable();
            let row = Row {
                phase,
                script,
                noticed: micros.len(),
                median: micros.get(micros.len() / 2).copied().unwrap_or_default(),
                over: micros.iter().filter(|took| **took > LIMIT_MICROS).count(),
                worst: micros.last().copied().unwrap_or_default(),
            };
            tracing::info!("{row}");
            self.rows.push(row);
        }
        self.forget().await
    }

    /// Prints the table. Returns how many calls were too long.
    pub(crate) async fn conclude(&mut self) -> Result<usize, Failure> {
        tracing::info!("");
        tracing::info!(
            "{:<42} {:<14} {:>10} {:>10} {:>10} {:>10}",
            "phase",
            "script",
            "> 1 ms",
            "median ms",
            "> 5 ms",
            "worst ms"
        );
        for row in &self.rows {
            tracing::info!("{row}");
        }
        let info: String = redis::cmd("INFO").arg("everything").query_async(&mut self.redis).await?;
        let figure = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0").to_owned();
        tracing::info!(
            "{} script calls; {} rewrites of the log; {} bytes at most",
            figure("cmdstat_evalsha:calls=").split(',').next().unwrap_or_default(),
            figure("aof_rewrites:"),
            figure("used_memory_peak:"),
        );
        self.yardstick.sort_unstable();
        if let (Some(least), Some(most)) = (self.yardstick.first(), self.yardstick.last()) {
            tracing::info!("a loop that touches no key took {least} to {most} µs: the difference is the machine's");
        }
        Ok(self.rows.iter().map(|row| row.over).sum())
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { phase, script, noticed, median, over, worst } = self;
        let ms = |micros: u64| format!("{}.{:02}", micros / 1000, micros % 1000 / 10);
        write!(out, "{phase:<42} {script:<14} {noticed:>10} {:>10} {over:>10} {:>10}", ms(*median), ms(*worst))
    }
}
