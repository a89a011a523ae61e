//! A cap of unique recipients in a moving window, step by step against a count by brute force.
//!
//! Random events (claims, units used at some time, not used, in doubt, redeliveries, redefinitions, leaps of the clock) go
//! through the real scripts on a real Redis; the oracle keeps every fact and counts them anew each time. Each claim must be
//! granted exactly if the oracle says so, and what the scope tells of itself must be what the oracle counts.
//! `POSTRIDER_ORACLE_EVENTS` sets how many events there are, `POSTRIDER_ORACLE_SEED` the seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{CapSpec, RateLimit, ScopeLimits};
use crate::{
    client::QueueClient,
    id::JobId,
    job::{Links, NewJob, UniqueFor},
    lane::Lane,
    leaping::Server,
    name::{JobKind, LaneName, QueueName, ScopeKey, Tenant},
    recipient::RecipientKey,
    script::{self, Script},
    wire,
};

const DAY: u64 = 86_400_000;
const RECIPIENTS: usize = 40;
const SESSION: &[u8] = b"oracle--";
const WORK: QueueName = QueueName::new("work");

// On a machine with other work a call's time may be over at any moment; here it always is, so that each run takes the same way.
static TURN: LazyLock<Script> = LazyLock::new(|| script::without_time(&script::TURN));
static CLOSE: LazyLock<Script> = LazyLock::new(|| script::without_time(&script::CLOSE));

/// A unit that is reserved.
#[derive(Debug, Clone, Copy)]
struct Open {
    recipient: usize,
    reserved: u64,
    epoch: u32,
}

/// Every fact there is.
#[derive(Debug, Default)]
struct Oracle {
    used: Vec<(u64, usize)>,
    open: BTreeMap<JobId, Open>,
    limit: u64,
}

impl Oracle {
    fn used_since(&self, now: u64) -> impl Iterator<Item = usize> {
        self.used.iter().filter(move |(at, _)| *at > now - DAY).map(|(_, recipient)| *recipient)
    }

    /// Whose last unit in the window leaves it next.
    fn next_to_leave(&self, now: u64) -> Option<(u64, usize)> {
        let mut last = BTreeMap::new();
        for (at, recipient) in self.used.iter().filter(|(at, _)| *at + DAY > now) {
            let known: &mut u64 = last.entry(*recipient).or_default();
            *known = (*known).max(*at);
        }
        last.into_iter().map(|(recipient, at)| (at, recipient)).min()
    }

    fn charged(&self, now: u64) -> BTreeSet<usize> {
        self.used_since(now).chain(self.open.values().map(|open| open.recipient)).collect()
    }

    fn allows(&self, recipient: usize, now: u64) -> bool {
        let charged = self.charged(now);
        charged.contains(&recipient) || u64::try_from(charged.len()).unwrap() < self.limit
    }
}

struct Run {
    client: QueueClient,
    tenant: Tenant,
    scope: ScopeKey,
    sequence: u64,
    recipients: Vec<RecipientKey>,
}

impl Run {
    /// A turn of the session: an outcome, or a claim. Returns what was claimed, with its epoch, and Redis's time.
    async fn turn(&mut self, want: usize, outcome: Option<Vec<u8>>) -> (Vec<(JobId, u32)>, u64) {
        self.sequence += 1;
        let mut args: Vec<Vec<u8>> = vec![SESSION.to_vec(), self.sequence.to_string().into_bytes()];
        args.extend([want.to_string().into_bytes(), Vec::new(), b"1".to_vec(), WORK.as_str().into()]);
        args.extend([b"0".to_vec(), b"0".to_vec(), Vec::new()]); // no lanes, no kinds, no plain outcomes
        let settles = outcome.is_some();
        args.extend(outcome);
        let answer = wire::list(self.client.link().call(&TURN, 0, &args).await.unwrap()).unwrap();
        assert_eq!(wire::integer(&answer[0]).unwrap(), 1, "the session is known, and no turn with a higher number");
        let taken = wire::list(answer[2].clone()).unwrap();
        let taken = taken.chunks_exact(2).map(|pair| {
            let id = JobId::from_tail(0, &wire::bytes(pair[0].clone()).unwrap()).unwrap();
            (id, wire::epoch(&wire::bytes(pair[1].clone()).unwrap()))
        });
        let now = wire::integer(answer.last().unwrap()).unwrap().unsigned_abs();
        if settles {
            assert_eq!(wire::bytes(answer[1].clone()).unwrap(), b"D", "the outcome is applied");
        }
        (taken.collect(), now)
    }

    async fn open_session(&self) {
        let args = vec![SESSION.to_vec(), b"6000".to_vec(), b"1".to_vec()];
        self.client.link().call(&script::RENEW, 0, &args).await.unwrap();
    }

    /// In steps, as whoever ends a session must: it is known until the last, with the answer to its last turn.
    async fn close_session(&self) {
        while wire::integer(&self.client.link().call(&CLOSE, 0, &vec![SESSION.to_vec()]).await.unwrap()).unwrap() == 1 {
        }
    }

    async fn define(&self, limit: u64) {
        let day = Duration::from_millis(DAY);
        let caps = vec![CapSpec::moving(limit, day).of_recipients(), CapSpec::moving(u64::MAX, day)];
        self.client.define_scope(&self.tenant, &self.scope, &ScopeLimits::caps(caps)).await.unwrap();
    }

    fn job(&self, recipient: usize) -> NewJob {
        NewJob {
            tenant: self.tenant.clone(),
            id: None,
            kind: JobKind::new("send"),
            queue: WORK,
            lane: Lane::with_scopes(LaneName::parse("out").unwrap(), vec![self.scope.clone()]),
            payload: b"{}".to_vec(),
            run_at: None,
            max_attempts: 3,
            keep: Duration::from_secs(1),
            unique_key: None,
            unique_for: UniqueFor::default(),
            idempotency_key: None,
            links: Links::default(),
            recipient: Some(self.recipients[recipient]),
            priority: crate::priority::Priority::default(),
        }
    }
}

/// As in `session/settling.rs`.
fn outcome(id: JobId, epoch: u32, used: (u8, u64)) -> Vec<u8> {
    let mut out = id.tail().to_vec();
    out.extend_from_slice(&epoch.to_be_bytes());
    out.extend([b'D', used.0]);
    wire::put_u48(&mut out, used.1);
    wire::put_u48(&mut out, 0);
    out.extend([0; 8]); // no error, no output, no follow-ups
    out
}

#[expect(clippy::disallowed_methods, reason = "the length of a test is no configuration of the product")]
fn option(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

async fn begin(server: &Server) -> Run {
    let client = server.client().await;
    let recipients = (0..RECIPIENTS).map(|n| RecipientKey::of(&format!("+49{n}")).unwrap()).collect();
    let (tenant, scope) = (Tenant::parse("acme").unwrap(), ScopeKey::parse("number:1").unwrap());
    let run = Run { client, tenant, scope, sequence: 0, recipients };
    run.open_session().await;
    run
}

#[tokio::test]
async fn a_call_steps_over_a_bounded_number_of_jobs() {
    let server = Server::start();
    let mut run = begin(&server).await;
    run.define(0).await;
    for recipient in 0..RECIPIENTS {
        run.client.enqueue_many(vec![run.job(recipient), run.job(recipient)]).await.unwrap();
    }
    for aside in [32, 64, 80] {
        assert_eq!(run.turn(200, None).await.0, []);
        let stats = run.client.queue(&WORK).await.unwrap();
        assert_eq!((stats.available, stats.stepped_aside), (80, aside));
    }
}

#[tokio::test]
async fn a_job_waits_behind_those_of_its_recipient_that_stepped_aside() {
    let server = Server::start();
    let mut run = begin(&server).await;
    let hour = Some(RateLimit::even(1, Duration::from_hours(1)));
    let limits = ScopeLimits { recipient_rate: hour, ..ScopeLimits::default() };
    run.client.define_scope(&run.tenant, &run.scope, &limits).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(run.client.enqueue(run.job(0)).await.unwrap().id());
    }
    let taken = |turn: (Vec<(JobId, u32)>, u64)| turn.0.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(taken(run.turn(9, None).await), ids[..1]);
    server.leap(2 * 3_600_000);
    run.open_session().await; // it lives
    ids.push(run.client.enqueue(run.job(0)).await.unwrap().id());
    assert_eq!(taken(run.turn(9, None).await), [], "the second is due, but nobody has looked yet");
    run.client.tick().await.unwrap();
    assert_eq!(taken(run.turn(9, None).await), ids[1..2]);
}

#[tokio::test]
async fn unique_recipients_of_a_day_are_what_an_oracle_counts() {
    let (events, seed) = (option("POSTRIDER_ORACLE_EVENTS", 2500), option("POSTRIDER_ORACLE_SEED", 1));
    let server = Server::start();
    let mut run = begin(&server).await;
    let mut oracle = Oracle { limit: 12, ..Oracle::default() };
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut ahead, mut now, mut next) = (0, 0, None);
    run.define(oracle.limit).await;
    let mut happened: BTreeMap<&str, u64> = BTreeMap::new();
    for event in 0..events {
        let place = dice.random_range(0..oracle.open.len().max(1));
        let held = oracle.open.iter().nth(place).map(|(id, open)| (*id, *open));
        let what = match (dice.random_range(0..100), held) {
            (0..45, _) => {
                let recipient = next.take().unwrap_or_else(|| dice.random_range(0..RECIPIENTS));
                claim(&mut run, &mut oracle, recipient).await
            }
            (45..85, Some((id, open))) => settle(&mut run, &mut oracle, &mut dice, id, open).await,
            (85..88, _) => redeliver(&mut run, &mut oracle).await,
            (88..92, _) => {
                oracle.limit = dice.random_range(0..25);
                run.define(oracle.limit).await;
                "redefined"
            }
            _ => {
                ahead += match (dice.random_range(0..8), oracle.next_to_leave(now)) {
                    // To about the instant at which somebody leaves the window, who is asked for next.
                    (0..3, Some((at, recipient))) => {
                        next = Some(recipient);
                        (at + DAY + dice.random_range(0..40)).saturating_sub(now + 20)
                    }
                    (3, _) => dice.random_range(0..90_000_000),
                    _ => dice.random_range(0..600_000),
                };
                server.leap(ahead);
                "time passed"
            }
        };
        *happened.entry(what).or_default() += 1;
        now = compare(&run, &oracle, event).await;
        if event % 500 == 0 {
            oracle.used.retain(|(at, _)| *at + 2 * DAY > now);
        }
    }
    println!("{events} events with seed {seed}, equal after each: {happened:?}");
}

async fn claim(run: &mut Run, oracle: &mut Oracle, recipient: usize) -> &'static str {
    let id = run.client.enqueue(run.job(recipient)).await.unwrap().id();
    let (taken, now) = run.turn(1, None).await;
    let granted = taken.first().is_some_and(|(claimed, _)| *claimed == id);
    assert!(granted || taken.is_empty(), "{taken:?} instead of {id}");
    assert_eq!(granted, oracle.allows(recipient, now), "{} of {}", oracle.charged(now).len(), oracle.limit);
    if let Some((id, epoch)) = taken.first() {
        oracle.open.insert(*id, Open { recipient, reserved: now, epoch: *epoch });
        return "granted";
    }
    run.client.cancel(id).await.unwrap();
    "stepped aside"
}

async fn settle(run: &mut Run, oracle: &mut Oracle, dice: &mut StdRng, id: JobId, open: Open) -> &'static str {
    let (letter, at, what) = match dice.random_range(0..10) {
        0..5 => (b'u', open.reserved + dice.random_range(0..400_000), "used"),
        5..7 => (b'u', open.reserved - dice.random_range(0..1000), "used before its claim, it said"),
        7..9 => (b'n', 0, "not used"),
        _ => (b'?', 0, "in doubt"),
    };
    let (_, now) = run.turn(0, Some(outcome(id, open.epoch, (letter, at)))).await;
    oracle.open.remove(&id);
    match letter {
        b'u' => oracle.used.push((at.clamp(open.reserved, now), open.recipient)),
        b'?' => oracle.used.push((now, open.recipient)),
        _ => {}
    }
    what
}

/// The session ends; another takes what it held, whatever the cap says.
async fn redeliver(run: &mut Run, oracle: &mut Oracle) -> &'static str {
    run.close_session().await;
    run.open_session().await;
    run.sequence = 0;
    let mut taken = Vec::new();
    while taken.len() < oracle.open.len() {
        let (some, _) = run.turn(200, None).await;
        assert_ne!(some, [], "{} of {} were redelivered", taken.len(), oracle.open.len());
        taken.extend(some);
    }
    assert_eq!(taken.len(), oracle.open.len(), "all were redelivered");
    for (id, epoch) in taken {
        oracle.open.get_mut(&id).expect("it was held").epoch = epoch;
    }
    "redelivered"
}

/// What the scope tells of itself is what the oracle counts. Returns Redis's time.
async fn compare(run: &Run, oracle: &Oracle, event: u64) -> u64 {
    let state = run.client.scope(&run.tenant, &run.scope).await.unwrap().unwrap();
    let told = [state.caps[0].used, state.caps[1].used, state.reserved].map(|count| usize::try_from(count).unwrap());
    let (_, now) = state.caps[1].window.unwrap(); // it ends when it was read
    let now = wire::millis(now);
    let open: BTreeSet<usize> = oracle.open.values().map(|open| open.recipient).collect();
    let used: BTreeSet<usize> = oracle.used_since(now).collect();
    let counted = [used.difference(&open).count(), oracle.used_since(now).count(), oracle.open.len()];
    assert_eq!(told, counted, "event {event}");
    now
}
