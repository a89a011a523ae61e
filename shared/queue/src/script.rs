//! The scripts: one file per transition in `lua/`, composed with the fragments in `lua/lib/` that it needs.
//!
//! This is their only home: what is sent to Redis is built, named and hashed here.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::Instant,
};

/// Version of records and keys.
pub(crate) const PROTOCOL: u8 = 1;
/// The newest protocol that this program speaks; data of a newer one is refused. 2 is 1 with jobs that may stand in blocks, under
/// the same names, so that both find the other's.
pub(crate) const NEWEST: u8 = 2;
/// The first protocol with blocks.
pub(crate) const BLOCKS: u8 = 2;

/// Most items in one call of any script.
pub(crate) const MAX_ITEMS: usize = 256;
/// A batch is cut when its items exceed this many bytes, so that no call is long.
pub(crate) const MAX_BATCH_BYTES: usize = 1 << 20;

/// A script, ready to be called.
#[derive(Debug)]
pub(crate) struct Script {
    /// Name of its file, for errors and measurements.
    pub(crate) name: &'static str,
    /// What Redis calls it.
    pub(crate) sha: String,
    /// What Redis must load if it does not know it.
    pub(crate) text: String,
}

impl Script {
    /// Measures a call: from the question to the answer, with the way there and back.
    pub(crate) fn took(&self, asked: Instant, answered: bool) {
        let answered = if answered { "yes" } else { "no" };
        metrics::histogram!("postrider_queue_script_seconds", "script" => self.name, "answered" => answered)
            .record(asked.elapsed());
    }
}

macro_rules! fragment {
    ($name:literal) => {
        include_str!(concat!("../lua/lib/", $name, ".lua"))
    };
}

/// A script about a server, not about a shard.
const ALONE: &[&str] = &[];
const KEYS: &[&str] = &[fragment!("keys")];
const READING: &[&str] = &[
    fragment!("keys"),
    fragment!("record"),
    fragment!("precedence"),
    fragment!("lanes"),
    fragment!("waiting"),
    fragment!("describe"),
];
const NOTING: &[&str] = &[fragment!("keys"), fragment!("master")];
const SCOPING: &[&str] = &[
    fragment!("keys"),
    fragment!("budget"),
    fragment!("master"),
    fragment!("record"),
    fragment!("precedence"),
    fragment!("lanes"),
    fragment!("waiting"),
    fragment!("limits"),
    fragment!("scopes"),
    fragment!("simply"),
    fragment!("recipients"),
    fragment!("waking"),
];
const MOVING: &[&str] = &[
    fragment!("keys"),
    fragment!("budget"),
    fragment!("master"),
    fragment!("record"),
    fragment!("later"),
    fragment!("precedence"),
    fragment!("lanes"),
    fragment!("waiting"),
    fragment!("limits"),
    fragment!("scopes"),
    fragment!("simply"),
    fragment!("recipients"),
    fragment!("waking"),
    fragment!("keeping"),
    fragment!("naming"),
    fragment!("creation"),
    fragment!("ending"),
];
const SCANNING: &[&str] = &[fragment!("scanning")];
const RENEWING: &[&str] = &[fragment!("keys"), fragment!("record"), fragment!("charges")];
const CLOSING: &[&str] = &[
    fragment!("keys"),
    fragment!("budget"),
    fragment!("master"),
    fragment!("record"),
    fragment!("charges"),
    fragment!("later"),
    fragment!("precedence"),
    fragment!("lanes"),
    fragment!("waiting"),
    fragment!("limits"),
    fragment!("scopes"),
    fragment!("simply"),
    fragment!("recipients"),
    fragment!("waking"),
    fragment!("keeping"),
    fragment!("naming"),
    fragment!("creation"),
    fragment!("ending"),
    fragment!("holdings"),
];
const CREATING: &[&str] = &[
    fragment!("keys"),
    fragment!("record"),
    fragment!("later"),
    fragment!("precedence"),
    fragment!("lanes"),
    fragment!("waiting"),
    fragment!("keeping"),
    fragment!("naming"),
    fragment!("creation"),
];
const CREATING_PLAIN: &[&str] = &[
    fragment!("keeping"),
    fragment!("precedence"),
    fragment!("alike"),
    fragment!("keys"),
    fragment!("record"),
    fragment!("lanes"),
    fragment!("naming"),
    fragment!("plain"),
];
const TURNING: &[&str] = &[
    fragment!("keys"),
    fragment!("budget"),
    fragment!("master"),
    INNER,
    fragment!("record"),
    fragment!("charges"),
    fragment!("later"),
    fragment!("precedence"),
    fragment!("lanes"),
    fragment!("waiting"),
    fragment!("limits"),
    fragment!("scopes"),
    fragment!("simply"),
    fragment!("recipients"),
    fragment!("waking"),
    fragment!("keeping"),
    fragment!("naming"),
    fragment!("creation"),
    fragment!("ending"),
    fragment!("completions"),
    fragment!("singly"),
    fragment!("outcomes"),
    fragment!("claims"),
    fragment!("sizes"),
    fragment!("shares"),
    fragment!("describe"),
];
const UPKEEP: &[&str] = &[
    fragment!("keys"),
    fragment!("budget"),
    fragment!("master"),
    fragment!("record"),
    fragment!("charges"),
    fragment!("later"),
    fragment!("precedence"),
    fragment!("lanes"),
    fragment!("waiting"),
    fragment!("limits"),
    fragment!("scopes"),
    fragment!("simply"),
    fragment!("recipients"),
    fragment!("waking"),
    fragment!("keeping"),
    fragment!("naming"),
    fragment!("creation"),
    fragment!("ending"),
    fragment!("holdings"),
    fragment!("upkeep"),
    fragment!("memory"),
    fragment!("doomed"),
];

/// What every worker and every caller needs within its first moments, the most urgent first.
pub(crate) static FREQUENT: [&LazyLock<Script>; 9] =
    [&ENQUEUE_PLAIN, &TURN, &RENEW, &LOOK, &TICK, &ENQUEUE, &HELD, &READ, &MASTER];

/// What Redis must know of a script before it runs it.
#[derive(Clone, Copy)]
enum Flag {
    /// Refused when memory is full.
    Grows,
    /// Allowed when memory is full: it finishes or moves work.
    Settles,
    /// Writes nothing.
    Reads,
}

/// Where it stands, the rest of a script becomes an inner function. Lua looks for a variable that a function captures
/// among all captured ones of the enclosing function, one by one, but copies those of the next outer one; with some 80
/// functions and their names side by side that took half of the time of a small call. A function has at most 200 local names
/// and may use at most 60 of the outer ones.
const INNER: &str = "--[[inner]]";

#[expect(clippy::disallowed_methods, reason = "the one home of scripts; the type is only used to hash the text")]
fn compose(name: &'static str, flag: Flag, fragments: &[&str], body: &str) -> Script {
    let first = match flag {
        Flag::Grows => "#!lua",
        Flag::Settles => "#!lua flags=allow-oom",
        Flag::Reads => "#!lua flags=no-writes",
    };
    let reading = format!("local READING = {}", matches!(flag, Flag::Reads));
    let mut parts = fragments.to_vec();
    if let Some(keys) = parts.iter().position(|part| *part == fragment!("keys")) {
        parts.splice(keys + 1..=keys, [reading.as_str(), fragment!("gate")]);
        parts.insert(0, fragment!("block"));
    }
    let mut lua = format!("{}\n{body}", parts.join("\n"));
    let inner = lua.matches(INNER).count();
    if inner > 0 {
        lua = lua.replace(INNER, "return (function()") + &"\nend)()".repeat(inner);
    }
    let text = format!("{first}\n-- postrider {name}, protocol {PROTOCOL}\n{lua}");
    let sha = redis::Script::new(&text).get_hash().to_owned();
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).insert(sha.clone(), name);
    Script { name, sha, text }
}

/// Scripts that this process has used, by what Redis calls them.
static NAMES: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());

/// Which of the scripts that this process has used Redis calls so: its slow log names them by their hash.
pub fn script_name(sha: &str) -> Option<&'static str> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).get(sha).copied()
}

/// The same script for an impatient test: its time is over as soon as it begins.
#[cfg(test)]
pub(crate) fn without_time(script: &Script) -> Script {
    changed(script, &[("local MOST_MICROS, SLICE = 2000,", "local MOST_MICROS, SLICE = 0,")])
}

/// The same for a test with few jobs: its slices are small, too.
#[cfg(test)]
pub(crate) fn in_small_slices(script: &Script) -> Script {
    changed(script, &[("local MOST_MICROS, SLICE = 2000, 32", "local MOST_MICROS, SLICE = 0, 3")])
}

/// The same for a test with small jobs: three of them are as many bytes as a call takes, and it looks at two at a time.
#[cfg(test)]
pub(crate) fn with_little_room(script: &Script) -> Script {
    changed(
        script,
        &[
            (
                "local MOST_BYTES, HEAVY, HEAVY_FOR = 524288, P .. 'heavy', 3600000",
                "local MOST_BYTES, HEAVY, HEAVY_FOR = 150, P .. 'heavy', 3000",
            ),
            ("local IN_A_READ = 16", "local IN_A_READ = 2"),
        ],
    )
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the one home of scripts")]
fn changed(script: &Script, changes: &[(&str, &str)]) -> Script {
    let text = changes.iter().fold(script.text.clone(), |text, (from, to)| {
        assert!(text.contains(from), "{} has no {from}", script.name);
        text.replace(from, to)
    });
    Script { name: script.name, sha: redis::Script::new(&text).get_hash().to_owned(), text }
}

macro_rules! script {
    ($constant:ident, $name:literal, $flag:ident, $fragments:ident) => {
        pub(crate) static $constant: LazyLock<Script> =
            LazyLock::new(|| compose($name, Flag::$flag, $fragments, include_str!(concat!("../lua/", $name, ".lua"))));
    };
}

// A process must be able to start when memory is full: it may be the one that empties the queue.
script!(HOMES, "homes", Settles, ALONE);
script!(MASTER, "master", Settles, NOTING);
script!(MOVE, "move", Settles, ALONE);
script!(INSTALL, "install", Settles, KEYS);
script!(ENQUEUE, "enqueue", Grows, CREATING);
script!(ENQUEUE_PLAIN, "enqueue_plain", Grows, CREATING_PLAIN);
pub(crate) static TURN: LazyLock<Script> = LazyLock::new(|| {
    let fragments = [&[fragment!("lone_claim")], TURNING].concat();
    compose("turn", Flag::Settles, &fragments, include_str!("../lua/turn.lua"))
});
script!(SUSPECT, "suspect", Settles, TURNING);
script!(STARTED, "started", Settles, READING);
script!(RENEW, "renew", Settles, RENEWING);
script!(HELD, "held", Reads, READING);
script!(CLOSE, "close", Settles, CLOSING);
script!(BATCH, "batch", Grows, MOVING);
script!(READ_BATCH, "read_batch", Reads, READING);
script!(CHILDREN, "children", Reads, READING);
script!(LOG, "log", Settles, READING);
script!(READ_LOG, "read_log", Reads, KEYS);
script!(PROGRESS, "progress", Settles, READING);
script!(CANCEL, "cancel", Settles, MOVING);
script!(PROMOTE, "promote", Settles, READING);
script!(READ, "read", Reads, READING);
script!(LIST, "list", Reads, READING);
pub(crate) static SIFT: LazyLock<Script> = LazyLock::new(|| {
    let fragments = [READING, SCANNING].concat();
    compose("sift", Flag::Reads, &fragments, include_str!("../lua/sift.lua"))
});
script!(LOOK, "look", Reads, KEYS);
script!(TICK, "tick", Settles, UPKEEP);
script!(PAUSE, "pause", Settles, KEYS);
script!(LIMIT_DEPTH, "limit_depth", Settles, READING);
script!(PAUSE_LANE, "pause_lane", Settles, READING);
script!(PAUSE_TENANT, "pause_tenant", Settles, READING);
pub(crate) static FORGET_TENANT: LazyLock<Script> = LazyLock::new(|| {
    let fragments = [MOVING, SCANNING].concat();
    compose("forget_tenant", Flag::Settles, &fragments, include_str!("../lua/forget_tenant.lua"))
});
script!(PAUSED_TENANTS, "paused_tenants", Reads, KEYS);
script!(CANCEL_LANE, "cancel_lane", Settles, READING);
script!(WEIGH, "weigh", Settles, READING);
script!(STATS, "stats", Reads, READING);
script!(DEFINE_SCOPE, "define_scope", Settles, SCOPING);
script!(PAUSE_SCOPE, "pause_scope", Settles, SCOPING);
script!(SCOPE, "scope", Reads, SCOPING);
script!(CLOSE_SCOPE, "close_scope", Settles, SCOPING);
script!(CLOSE_SCOPES, "close_scopes", Settles, NOTING);
script!(RESTORE_SCOPE, "restore_scope", Settles, SCOPING);
script!(OPEN_SCOPE, "open_scope", Settles, SCOPING);
script!(DEAD, "dead", Reads, READING);
script!(ARCHIVE_DEAD, "archive_dead", Settles, READING);
// Its keys are few and small, and go by themselves: a full memory is no reason to let everybody in.
script!(ALLOW, "allow", Settles, KEYS);
