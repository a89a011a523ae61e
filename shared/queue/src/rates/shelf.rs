//! What a process knows of the limits of one shard: units that it took ahead, and refusals that still hold.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{
    AHEAD_FOR, Allowance, Draw, LimitState,
    wire::{Asked, Told},
};

/// Units are taken ahead for as long as this at the pace of last use.
const LOOK_AHEAD: Duration = Duration::from_millis(100);
/// Books are looked through for forgotten ones when there are so many, or twice as many as were left the last time.
const FEW: usize = 4_096;

/// One limit.
#[derive(Debug)]
struct Book {
    /// Units taken ahead, and until when they may be used.
    ahead: u32,
    till: Instant,
    /// Units at the last call that took some ahead.
    granted: u32,
    /// Units used since `since`.
    used: u32,
    since: Instant,
    /// When it is full again, as told last.
    full_at: Instant,
    /// So many units are refused until then.
    refused: Option<(u32, Instant)>,
    /// A call that fetches units is on its way.
    fetching: bool,
}

impl Book {
    fn new(now: Instant) -> Self {
        Self { ahead: 0, till: now, granted: 0, used: 0, since: now, full_at: now, refused: None, fetching: false }
    }

    fn has(&self, units: u32, now: Instant) -> bool {
        self.ahead >= units && now < self.till
    }

    fn refuses(&self, units: u32, now: Instant) -> bool {
        self.refused.is_some_and(|(refused, till)| units >= refused && now < till)
    }

    /// What it used lately, as units in [`LOOK_AHEAD`].
    fn pace(&self, now: Instant) -> u32 {
        let elapsed = (now - self.since).max(LOOK_AHEAD / 4).as_micros();
        let units = u128::from(self.used) * LOOK_AHEAD.as_micros() / elapsed;
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    fn state(&self, draw: &Draw, allowed: bool, now: Instant) -> LimitState {
        state(draw, self.full_at.saturating_duration_since(now), self.ahead, allowed)
    }
}

/// How a limit stands that is full in so long, with units in hand.
fn state(draw: &Draw, full_in: Duration, ahead: u32, allowed: bool) -> LimitState {
    let every = draw.limit.interval();
    let whole = u128::from(every) * u128::from(draw.limit.burst);
    let owed = full_in.as_micros().min(whole);
    let room = u32::try_from((whole - owed) / u128::from(every)).unwrap_or(u32::MAX);
    let short = (owed + u128::from(every) * u128::from(draw.units)).saturating_sub(whole);
    let short = if allowed { 0 } else { u64::try_from(short).unwrap_or(u64::MAX) };
    LimitState {
        burst: draw.limit.burst,
        remaining: room.saturating_add(ahead).min(draw.limit.burst),
        full_in,
        short_for: Duration::from_micros(short),
    }
}

/// What can be said without asking Redis.
pub(super) enum Known {
    /// The answer, and the limits that units should be fetched for meanwhile.
    Answer(Allowance, Vec<Draw>),
    /// Nothing.
    Unknown,
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    books: HashMap<[u8; 12], Book>,
    tidy_at: usize,
}

impl Shelf {
    /// Answers from what is known.
    pub(super) fn look(&mut self, draws: &[Draw], now: Instant) -> Known {
        let refused = |draw: &Draw| self.books.get(&draw.name).is_some_and(|book| book.refuses(draw.units, now));
        if draws.iter().any(refused) {
            let state = |draw: &Draw| match self.books.get(&draw.name) {
                Some(book) => book.state(draw, !book.refuses(draw.units, now), now),
                None => state(draw, Duration::ZERO, 0, true),
            };
            return Known::Answer(Allowance { allowed: false, limits: draws.iter().map(state).collect() }, Vec::new());
        }
        if !draws.iter().all(|draw| self.books.get(&draw.name).is_some_and(|book| book.has(draw.units, now))) {
            return Known::Unknown;
        }
        let mut fetch = Vec::new();
        let mut limits = Vec::with_capacity(draws.len());
        for draw in draws {
            let Some(book) = self.books.get_mut(&draw.name) else { continue };
            book.ahead -= draw.units;
            book.used = book.used.saturating_add(draw.units);
            limits.push(book.state(draw, true, now));
            if book.ahead < book.granted / 2 && !book.fetching && now - book.since >= LOOK_AHEAD / 4 {
                book.fetching = true;
                fetch.push(*draw);
            }
        }
        Known::Answer(Allowance { allowed: true, limits }, fetch)
    }

    /// What a call that leaves now asks of a limit. The first check of a call fetches for all that follow.
    pub(super) fn ask(&mut self, draw: Draw, now: Instant) -> Asked {
        self.tidy(now);
        let book = self.books.entry(draw.name).or_insert_with(|| Book::new(now));
        book.used = book.used.saturating_add(draw.units);
        let old = if now < book.till { 0 } else { std::mem::take(&mut book.ahead) };
        if now - book.since < LOOK_AHEAD / 4 {
            return Asked { draw, back: old, ahead: 0 };
        }
        let pace = book.pace(now);
        (book.used, book.since) = (0, now);
        // Who comes now and then asks each time, and is counted exactly.
        Asked { draw, back: old, ahead: if pace < 4 { 0 } else { pace.saturating_sub(book.ahead) } }
    }

    /// Notes what a call said of the limits of a check.
    pub(super) fn note(&mut self, asked: &[Asked], allowed: bool, told: &[Told], now: Instant) -> Allowance {
        let mut limits = Vec::with_capacity(asked.len());
        for (asked, told) in asked.iter().zip(told) {
            let state = state(&asked.draw, told.full_in, told.ahead, allowed);
            limits.push(state);
            let Some(book) = self.books.get_mut(&asked.draw.name) else { continue };
            book.full_at = now + told.full_in;
            if told.ahead > 0 {
                // What is left of before may be used as long as the new ones: it is in time.
                book.ahead = book.ahead.saturating_add(told.ahead);
                book.granted = book.ahead;
                book.till = now + AHEAD_FOR;
            }
            let short = !allowed && !state.short_for.is_zero();
            book.refused = short.then(|| (asked.draw.units, now + state.short_for));
        }
        Allowance { allowed, limits }
    }

    /// A call that fetched units has ended, in whatever way.
    pub(super) fn fetched(&mut self, draw: &Draw) {
        if let Some(book) = self.books.get_mut(&draw.name) {
            book.fetching = false;
        }
    }

    /// Forgets what says nothing any more.
    fn tidy(&mut self, now: Instant) {
        if self.books.len() < self.tidy_at.max(FEW) {
            return;
        }
        self.books.retain(|_, book| {
            let old = now - book.since > 2 * AHEAD_FOR;
            book.fetching || !old || book.has(1, now) || book.refused.is_some_and(|(_, till)| now < till)
        });
        self.tidy_at = 2 * self.books.len();
    }
}
