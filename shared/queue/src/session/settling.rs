//! From an outcome to what a script applies: retry or dead, when again, which follow-ups. Rust decides; scripts move.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Token;
use crate::{
    claim::Claimed,
    id::JobId,
    job::{MAX_PAYLOAD_BYTES, NewJob},
    outcome::{CapUse, Done, Outcome, Stop},
    policy::Policy,
    wire::{self, Tables},
};

/// Follow-ups one completion may have; more belong into a job that enqueues them.
const MAX_FOLLOW_UPS: usize = 256;
/// Bytes of their payloads together: they are created in one step, and others wait for it.
const MAX_FOLLOW_UP_BYTES: usize = 16 * MAX_PAYLOAD_BYTES;
/// Longest error text kept.
const MAX_ERROR_BYTES: usize = 4096;
/// The latest time on the wire: "now" for a use of cap units, because scripts never charge the future.
const LATEST: u64 = (1 << 48) - 1;

/// One outcome on its way.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) id: JobId,
    pub(crate) token: Token,
    epoch: u32,
    verb: u8,
    cap: (u8, u64),
    time: u64,
    error: String,
    output: Vec<u8>,
    then: Vec<NewJob>,
}

impl Settling {
    /// The lease was lost before it arrived.
    pub(super) fn note_refusal(&self) {
        metrics::counter!("postrider_queue_stale_outcomes_total").increment(1);
        tracing::warn!(job = %self.id, outcome = self.word(), "outcome refused: the lease was lost");
    }

    fn plain(id: JobId, epoch: u32, token: Token, verb: u8) -> Self {
        Self {
            id,
            token,
            epoch,
            verb,
            cap: (b'n', 0),
            time: 0,
            error: String::new(),
            output: Vec::new(),
            then: Vec::new(),
        }
    }

    /// Back to the head of its lane; it does not count as an attempt.
    pub(crate) fn release(id: JobId, epoch: u32, token: Token) -> Self {
        Self::plain(id, epoch, token, b'L')
    }

    /// Never again.
    pub(crate) fn bury(id: JobId, epoch: u32, token: Token, error: String) -> Self {
        Self { error: cut(error), ..Self::plain(id, epoch, token, b'B') }
    }

    /// Until this time; it does not count as an attempt.
    pub(crate) fn snooze(id: JobId, epoch: u32, token: Token, until: DateTime<Utc>, reason: String) -> Self {
        Self { time: wire::millis(until), error: cut(reason), ..Self::plain(id, epoch, token, b'S') }
    }

    /// The same for a job whose kind nobody here knows: it counts as no snooze. After a week of that it is buried.
    pub(crate) fn put_off(id: JobId, epoch: u32, token: Token, until: DateTime<Utc>, reason: String) -> Self {
        Self { verb: b'P', ..Self::snooze(id, epoch, token, until, reason) }
    }

    /// What the outcome of a run means under its policy.
    pub(crate) fn of(run: &Run, outcome: Outcome, id: JobId, epoch: u32, token: Token) -> Self {
        let plain = |verb| Self::plain(id, epoch, token, verb);
        match outcome {
            Ok(done) => Self::done(run, done, plain(b'D')),
            Err(Stop::Retry { error, after, cap }) => {
                let cap = unused(cap);
                if run.attempt >= run.max_attempts {
                    return Self { cap, error: cut(error), ..plain(b'B') };
                }
                let delay = after.unwrap_or_else(|| run.policy.retry.backoff.delay(run.attempt));
                Self {
                    cap,
                    time: u64::try_from(delay.min(YEAR).as_millis()).unwrap_or_default(),
                    error: cut(error),
                    ..plain(b'R')
                }
            }
            Err(Stop::Fail { error, cap }) => Self { cap: unused(cap), error: cut(error), ..plain(b'B') },
            Err(Stop::Snooze { cap, reason, .. }) if run.snoozes >= run.policy.max_snoozes => Self {
                cap: unused(cap),
                error: cut(format!("put itself off more than {} times: {reason}", run.policy.max_snoozes)),
                ..plain(b'B')
            },
            Err(Stop::Snooze { until, reason, cap }) => {
                Self { cap: unused(cap), ..Self::snooze(id, epoch, token, until, reason) }
            }
            Err(Stop::Cancelled) => plain(b'X'),
        }
    }

    fn done(run: &Run, done: Done, plain: Self) -> Self {
        let cap = match done.cap {
            CapUse::Default => (b'u', LATEST),
            stated => unused(stated),
        };
        let mut then = done.then;
        let bytes: usize = then.iter().map(|job| job.payload.len()).sum();
        let refused = if then.len() > MAX_FOLLOW_UPS {
            Some(format!("{} follow-up jobs, at most {MAX_FOLLOW_UPS} are allowed", then.len()))
        } else if bytes > MAX_FOLLOW_UP_BYTES {
            Some(format!(
                "follow-up jobs with {bytes} bytes of payload, at most {MAX_FOLLOW_UP_BYTES} together are allowed: \
                 let them carry names of what is stored elsewhere, or one of them enqueue the others"
            ))
        } else {
            then.iter().find_map(|job| {
                let of_same_tenant = job.tenant.as_str() == run.tenant;
                let shard = if of_same_tenant { plain.id.shard() } else { u16::MAX };
                let checked = wire::check(job, shard).map_err(|error| error.to_string());
                let checked =
                    checked.and(of_same_tenant.then_some(()).ok_or_else(|| "it has another tenant".to_owned()));
                checked.err().map(|error| format!("follow-up job {}: {error}", job.kind))
            })
        };
        if let Some(error) = refused {
            return Self { cap, error: cut(error), verb: b'B', ..plain };
        }
        for (place, job) in then.iter_mut().enumerate() {
            // Derived, so that a repeat of this job after a lost completion creates nothing twice.
            let derive = || JobId::derived(plain.id.shard(), &["then", &plain.id.to_string(), &place.to_string()]);
            job.id = Some(job.id.unwrap_or_else(derive));
            job.links.parent = job.links.parent.or(Some(plain.id));
        }
        let mut output = done.output.map(|value| value.to_string().into_bytes()).unwrap_or_default();
        if output.len() > Done::MAX_OUTPUT_BYTES {
            output = format!("{{\"dropped\":\"an output of {} bytes\"}}", output.len()).into_bytes();
        }
        Self { cap, output, then, ..plain }
    }

    /// How many bytes it adds to a call.
    pub(crate) fn weight(&self) -> usize {
        let follow_ups: usize = self.then.iter().map(|job| job.payload.len() + 64).sum();
        48 + self.error.len() + self.output.len() + follow_ups
    }

    /// How much work it adds to a call, in plain completions. Writing down an error takes as long as several.
    pub(crate) fn items(&self) -> usize {
        1 + if self.error.is_empty() { 0 } else { 3 } + self.then.len()
    }

    /// The outcome: id 14, epoch I4, verb c1, cap use c1, used at I6, delay or time I6, error H, output I4, number of
    /// follow-ups H; then each follow-up as an item.
    pub(crate) fn append_to(&self, items: &mut Vec<Vec<u8>>, tables: &mut Tables) {
        let mut out = Vec::with_capacity(40 + self.error.len() + self.output.len());
        out.extend_from_slice(self.id.tail());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.push(self.verb);
        out.push(self.cap.0);
        wire::put_u48(&mut out, self.cap.1);
        wire::put_u48(&mut out, self.time);
        wire::put_short(&mut out, &self.error);
        out.extend_from_slice(&u32::try_from(self.output.len()).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(&self.output);
        out.extend_from_slice(&u16::try_from(self.then.len()).unwrap_or_default().to_be_bytes());
        items.push(out);
        for job in &self.then {
            if let Some(id) = job.id {
                items.push(wire::item(job, id, tables));
            }
        }
    }

    /// What it shares with others that say nothing but that their job is done: epoch I4, cap use c1, used at I6.
    fn plain_head(&self) -> Option<[u8; 11]> {
        let Self { id: _, token: _, epoch, verb, cap, time, error, output, then } = self;
        (*verb == b'D' && *time == 0 && error.is_empty() && output.is_empty() && then.is_empty()).then(|| {
            let mut head = epoch.to_be_bytes().to_vec();
            head.push(cap.0);
            wire::put_u48(&mut head, cap.1);
            head.try_into().unwrap_or_default()
        })
    }

    /// Puts the plain outcomes first and returns them packed: per group what they share, their number H, their ids; and how
    /// many there are. The script answers in this order.
    pub(crate) fn pack_plain(outcomes: &mut [Self]) -> (Vec<u8>, usize) {
        outcomes.sort_by_cached_key(|outcome| outcome.plain_head().map_or((true, [0; 11]), |head| (false, head)));
        let (mut packed, mut total) = (Vec::new(), 0);
        for group in outcomes.chunk_by(|one, other| one.plain_head() == other.plain_head()) {
            let Some(head) = group[0].plain_head() else { break };
            packed.extend_from_slice(&head);
            packed.extend_from_slice(&u16::try_from(group.len()).unwrap_or_default().to_be_bytes());
            for outcome in group {
                packed.extend_from_slice(outcome.id.tail());
            }
            total += group.len();
        }
        (packed, total)
    }

    /// The outcome in a word, for measurements.
    pub(crate) fn word(&self) -> &'static str {
        match self.verb {
            b'D' => "done",
            b'R' => "retry",
            b'S' | b'P' => "snooze",
            b'B' => "dead",
            b'X' => "cancelled",
            _ => "released",
        }
    }
}

const YEAR: Duration = Duration::from_hours(365 * 24);

/// What of a claim decides about its outcome.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) tenant: String,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) snoozes: u32,
    pub(crate) policy: Policy,
}

impl Run {
    pub(crate) fn of(claimed: &Claimed, policy: Policy) -> Self {
        Self {
            tenant: claimed.tenant.as_str().to_owned(),
            attempt: claimed.attempt,
            max_attempts: claimed.max_attempts,
            snoozes: claimed.snoozes,
            policy,
        }
    }
}

fn unused(cap: CapUse) -> (u8, u64) {
    match cap {
        CapUse::Default | CapUse::NotUsed => (b'n', 0),
        CapUse::Used(at) => (b'u', wire::millis(at)),
        CapUse::Unknown => (b'?', 0),
    }
}

/// A text of at most so many bytes.
pub(super) fn cut_to(most: usize, mut text: String) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn cut(error: String) -> String {
    cut_to(MAX_ERROR_BYTES, error)
}

#[cfg(test)]
mod tests {
    use super::{Done, Duration, MAX_PAYLOAD_BYTES, NewJob, Policy, Run, Settling};
    use crate::{
        id::JobId,
        policy::{Backoff, RetryPolicy},
    };

    #[test]
    fn follow_ups_are_no_more_than_one_step_may_create() {
        let payload = vec![b' '; MAX_PAYLOAD_BYTES];
        let job = NewJob { payload, ..crate::session::in_slices::job() };
        let run = Run {
            tenant: job.tenant.as_str().to_owned(),
            attempt: 1,
            max_attempts: 3,
            snoozes: 0,
            policy: Policy {
                retry: RetryPolicy { max_attempts: 3, backoff: Backoff::default() },
                timeout: Duration::from_secs(1),
                max_snoozes: 1,
            },
        };
        let with = |many: usize| {
            let outcome = Ok(Done { then: vec![job.clone(); many], ..Done::empty() });
            Settling::of(&run, outcome, JobId::random(0), 1, [0; 8])
        };
        let (fits, too_much) = (with(16), with(17));
        assert_eq!((fits.verb, fits.then.len()), (b'D', 16), "{}", fits.error);
        assert_eq!((too_much.verb, too_much.then.len()), (b'B', 0));
        assert!(too_much.error.contains("4456448 bytes") && too_much.error.contains("4194304"), "{}", too_much.error);
    }

    #[test]
    fn plain_outcomes_come_first_in_groups_that_share_a_head() {
        let ids: Vec<JobId> = (0..5).map(|_| JobId::random(0)).collect();
        let done = |at: usize, epoch| Settling::plain(ids[at], epoch, [0; 8], b'D');
        let telling = Settling { output: b"1".to_vec(), ..done(0, 1) };
        let mut outcomes = [telling, done(1, 1), done(2, 7), Settling::release(ids[3], 1, [0; 8]), done(4, 1)];
        let (packed, total) = Settling::pack_plain(&mut outcomes);
        let order: Vec<JobId> = outcomes.iter().map(|outcome| outcome.id).collect();
        assert_eq!(order, [ids[1], ids[4], ids[2], ids[0], ids[3]]);
        let head = |epoch, jobs| [&[0, 0, 0, epoch, b'n', 0, 0, 0, 0, 0, 0, 0, jobs][..]].concat();
        let expected = [&head(1, 2), ids[1].tail(), ids[4].tail(), &head(7, 1), ids[2].tail()].concat();
        assert_eq!((packed, total), (expected, 3));
    }
}
