//! The driver: decides when which shard gets a turn, with which outcomes and for how many jobs.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{mpsc, oneshot};

use super::{
    Command, OVERDUE, Session, Settling, Token, close,
    early_cancels::EarlyCancels,
    orphans::{self, Held},
    turn::{self, Answer, Taken, Turn, Verdict},
};
use crate::{claim::Claimed, hub::Signal, id::JobId, script::MAX_ITEMS};

mod handing_out;

/// Each shard is asked at this distance even if nobody called, one after the other, so that no job waits behind all of them. A
/// message that went to somebody else in vain is noticed by the maintenance long before; this is for the case that Redis has
/// forgotten who is idle.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Turns that are on their way to a server while others wait: as one is carried out, the answer of another is read. More would
/// spread the room of this process thin over the shards, and a turn costs as much as tens of jobs before it brings one.
const TURNS_AT_A_SERVER: usize = 3;

#[derive(Default)]
struct Shard {
    outcomes: VecDeque<Settling>,
    /// Since when a turn or a look is on its way.
    in_flight: Option<Instant>,
    /// It may have work.
    ready: bool,
    /// It was called while a turn was on its way, whose answer may be older than the call.
    called: bool,
    /// It has work, but this process no room: somebody else should be told.
    pass_on: bool,
    sequence: u64,
    /// When what it shows as held is compared with what is.
    compare: orphans::Due,
}

struct Driver {
    session: Arc<Session>,
    claims: mpsc::UnboundedSender<Vec<Claimed>>,
    shards: Vec<Shard>,
    turns: FuturesUnordered<BoxFuture<'static, (Turn, Answer)>>,
    early_cancels: EarlyCancels,
    /// Looks at what shards show as held, each in the place of a turn.
    looks: FuturesUnordered<BoxFuture<'static, Held>>,
    claiming: bool,
    finishing: bool,
    /// When it ends in any case: nothing is held any more, and what a shard that is away was to be told, the rescue finds out.
    ends_at: Option<Instant>,
    /// Jobs handed out.
    running: usize,
    /// Jobs asked for by turns on their way.
    wanted: usize,
    /// Which shard is the next to get a turn.
    next: usize,
    flushes: Vec<oneshot::Sender<()>>,
    /// Claims that count as running, to be read while Redis works on the next turn, whatever else it answers; and since when
    /// they were on their way.
    unread: VecDeque<(Taken, Token, Instant)>,
}

pub(super) async fn drive(
    session: Arc<Session>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    claims: mpsc::UnboundedSender<Vec<Claimed>>,
) {
    let queues: Vec<String> = session.config.queues.iter().map(|queue| queue.as_str().to_owned()).collect();
    let mut signals = session.client.hub().session(&session.worker, &queues).await;
    let mut driver = Driver {
        shards: (0..session.client.shards()).map(|_| Shard::default()).collect(),
        session,
        claims,
        turns: FuturesUnordered::new(),
        early_cancels: EarlyCancels::default(),
        looks: FuturesUnordered::new(),
        claiming: true,
        finishing: false,
        ends_at: None,
        running: 0,
        wanted: 0,
        next: 0,
        flushes: Vec::new(),
        unread: VecDeque::new(),
    };
    let mut ask_again = tokio::time::interval(ASK_AGAIN / u32::from(driver.session.client.shards()));
    let mut asked_again = (0..driver.shards.len()).cycle();
    let mut batch = Vec::with_capacity(MAX_ITEMS);
    loop {
        tokio::select! {
            biased;
            Some((turn, answer)) = driver.turns.next(), if !driver.turns.is_empty() && driver.unread.len() < 2 => {
                let token = turn.token;
                let claims = driver.answered(turn, answer);
                driver.unread.extend(claims.map(|(claims, sent)| (claims, token, sent)));
                driver.commands(&mut commands);
            }
            () = std::future::ready(()), if !driver.unread.is_empty() => driver.hand_out_unread(),
            Some(held) = driver.looks.next(), if !driver.looks.is_empty() => driver.compare(&held, &mut commands),
            Some(signal) = signals.recv() => driver.signal(signal),
            received = commands.recv_many(&mut batch, MAX_ITEMS) => {
                if received == 0 { return }
                // Handlers that end in the same moment share a turn.
                tokio::task::yield_now().await;
                for command in batch.drain(..) {
                    driver.command(command);
                }
                driver.commands(&mut commands);
            }
            () = tokio::time::sleep_until(driver.ends_at.unwrap_or_else(Instant::now).into()), if driver.ends_at.is_some() => {
                tracing::warn!("a session could not tell all shards that it ends; the rescue will take what they show as its jobs");
                return driver.session.stop.cancel();
            }
            _ = ask_again.tick() => {
                let place = asked_again.next().unwrap_or_default();
                driver.shards[place].ready = true;
            }
        }
        driver.take_turns();
        if driver.is_idle() {
            driver.flushes.drain(..).for_each(|flushed| {
                let _ = flushed.send(());
            });
            if driver.finishing && driver.running == 0 {
                let left = driver
                    .ends_at
                    .map_or(driver.session.config.session_ttl, |end| end.saturating_duration_since(Instant::now()));
                let _ = tokio::time::timeout(left, close::give_back(&driver.session)).await;
                driver.session.stop.cancel();
                return;
            }
        }
        if driver.finishing && driver.running == 0 && driver.ends_at.is_none() {
            driver.ends_at = Some(Instant::now() + driver.session.config.session_ttl);
        }
    }
}

impl Driver {
    /// Jobs that this process has room for.
    fn free(&self) -> usize {
        let wanted = self.wanted.saturating_sub(self.session.given_up.load(Ordering::Acquire));
        self.session.config.concurrency.saturating_sub(self.running + wanted)
    }

    fn is_idle(&self) -> bool {
        self.turns.is_empty() && self.unread.is_empty() && self.shards.iter().all(|shard| shard.outcomes.is_empty())
    }

    /// Does what it has been asked to do by now, within bounds.
    fn commands(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) {
        for _ in 0..4 * MAX_ITEMS {
            let Ok(command) = commands.try_recv() else {
                return;
            };
            self.command(command);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Settle(settling) => {
                self.runs(self.running.saturating_sub(1));
                self.queue(*settling);
            }
            Command::Opened(shard) => self.shards[usize::from(shard)].ready = true,
            Command::Suspect(suspect) => match suspect.record {
                Ok(record) => {
                    self.runs(self.running + 1);
                    self.hand_out(vec![record], suspect.token, suspect.now, suspect.asked);
                }
                Err(unreadable) => self.bury(unreadable, suspect.token),
            },
            Command::GiveBack(settling) => self.queue(*settling),
            Command::StopClaiming => self.stop_claiming(),
            Command::GaveUp => {} // whoever is ready gets a turn after each command
            Command::Flush(flushed) => self.flushes.push(flushed),
            Command::Finish => {
                self.stop_claiming();
                self.finishing = true;
            }
        }
    }

    fn runs(&mut self, running: usize) {
        self.running = running;
        self.session.running.store(running, Ordering::Release);
    }

    fn stop_claiming(&mut self) {
        self.claiming = false;
        self.session.claiming.store(false, Ordering::Release);
    }

    fn queue(&mut self, settling: Settling) {
        let shard = settling.id.shard();
        if settling.token == self.session.token(shard) {
            metrics::counter!("postrider_queue_outcomes_total", "outcome" => settling.word()).increment(1);
            self.shards[usize::from(shard)].outcomes.push_back(settling);
        } else {
            settling.note_refusal();
        }
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Work(shard) => {
                let has_room = self.claiming && self.free() > 0;
                if let Some(shard) = self.shards.get_mut(usize::from(shard)) {
                    shard.pass_on = !has_room;
                    shard.ready = true;
                    shard.called = true;
                }
            }
            Signal::Cancel(id) => {
                self.early_cancels.note(id);
                self.session.cancel(id);
            }
            Signal::Reconnected => {
                for shard in &mut self.shards {
                    shard.ready = true;
                    shard.called = true;
                    shard.compare.soon();
                }
                self.session.beat.notify_waiters();
            }
        }
    }

    /// Gives turns to shards that have outcomes to take or may have work to give, in turn, as many as their servers may have.
    fn take_turns(&mut self) {
        let total = self.shards.len();
        let (mut places, mut claimable) = self.places();
        let first = self.next;
        for step in 0..total {
            let place = (first + step) % total;
            let Ok(number) = u16::try_from(place) else {
                continue;
            };
            let free = self.free();
            // None for a shard whose server is not known, whose turns nobody else's wait for.
            let left = places.get_mut(self.session.client.link().home(number));
            let shard = &mut self.shards[place];
            if left.as_deref() == Some(&0) || shard.in_flight.is_some() || !self.session.is_open(number) {
                continue;
            }
            if shard.compare.take() {
                shard.in_flight = Some(Instant::now());
                self.looks.push(orphans::look(Arc::clone(&self.session), number).boxed());
                continue;
            }
            let mut want = 0;
            if shard.ready && self.claiming {
                want = free.div_ceil(claimable.max(1)).min(MAX_ITEMS);
                claimable = claimable.saturating_sub(1);
            }
            if want == 0 && shard.outcomes.is_empty() && !shard.pass_on {
                continue;
            }
            if let Some(left) = left {
                *left -= 1;
            }
            self.next = (place + 1) % total;
            let outcomes = turn::batch(&mut shard.outcomes);
            shard.in_flight = Some(Instant::now());
            shard.called = false;
            shard.pass_on = false;
            shard.sequence += 1;
            self.wanted += want;
            let turn =
                Turn { shard: number, token: self.session.token(number), sequence: shard.sequence, want, outcomes };
            let alone = self.turns.is_empty();
            self.turns.push(turn::take(Arc::clone(&self.session), turn, alone).boxed());
        }
    }

    /// How many turns each server may have more, and how many that claim will be taken now.
    fn places(&self) -> (Vec<usize>, usize) {
        let link = self.session.client.link();
        let mut places = vec![TURNS_AT_A_SERVER; link.servers()];
        let mut hopeful = vec![0; link.servers()];
        for (shard, number) in self.shards.iter().zip(0..) {
            let home = link.home(number);
            if let Some(since) = shard.in_flight {
                if let Some(left) = places.get_mut(home).filter(|_| since.elapsed() < OVERDUE) {
                    *left = left.saturating_sub(1);
                }
            } else if let Some(hopeful) = hopeful.get_mut(home).filter(|_| shard.ready) {
                *hopeful += 1;
            }
        }
        let claimable = places.iter().zip(&hopeful).map(|(left, hopeful)| left.min(hopeful)).sum();
        (places, claimable)
    }

    /// Gives back what a shard shows as held by this session and nobody here holds.
    fn compare(&mut self, held: &Held, commands: &mut mpsc::UnboundedReceiver<Command>) {
        // In this order: whoever ends a run tells so first, and lets go of it then; and a suspect comes by a command.
        let mut running: HashSet<JobId> = self.session.holds().keys().copied().collect();
        self.commands(commands);
        running.extend(self.session.holds().keys());
        let place = usize::from(held.shard);
        self.shards[place].in_flight = None;
        if !commands.is_empty() || held.shows_a_suspect_on_its_way(&self.session) {
            return self.shards[place].compare.soon(); // too much is going on to be sure
        }
        let settled = self.shards[place].outcomes.iter().map(|settling| settling.id).collect();
        for (id, epoch) in held.orphans(&running, &settled) {
            tracing::warn!(job = %id, "the queue lost the end of this run; it goes back");
            metrics::counter!("postrider_queue_orphans_total").increment(1);
            self.queue(Settling::release(id, epoch, held.token));
        }
    }

    /// Takes note of an answer. The claims it brought count as running; they are to be handed out. With them comes since when
    /// they were on their way.
    fn answered(&mut self, turn: Turn, answer: Answer) -> Option<(Taken, Instant)> {
        self.wanted -= turn.want;
        let place = usize::from(turn.shard);
        let sent = self.shards[place].in_flight.take();
        match answer {
            Answer::Gone => {
                self.session.gone(turn.shard, turn.token);
                turn.outcomes.iter().for_each(Settling::note_refusal);
                for settling in std::mem::take(&mut self.shards[place].outcomes) {
                    self.queue(settling); // refused, because its token is gone
                }
                None
            }
            Answer::Taken(mut taken) => {
                let shard = &mut self.shards[place];
                shard.ready = taken.more || shard.called || (turn.want == 0 && shard.ready);
                for (settling, verdict) in turn.outcomes.into_iter().zip(&taken.verdicts).rev() {
                    match verdict {
                        Verdict::Applied => {}
                        // Before those that have not been sent yet, so that none waits for ever.
                        Verdict::Again if settling.token == self.session.token(turn.shard) => {
                            shard.outcomes.push_front(settling);
                        }
                        Verdict::Stale | Verdict::Again => settling.note_refusal(),
                    }
                }
                // Others may have taken the room of a turn that was long unanswered: what it claimed then goes back.
                let room = self.session.config.concurrency.saturating_sub(self.running);
                for (id, epoch) in taken.keep(room) {
                    self.queue(Settling::release(id, epoch, turn.token));
                    self.shards[place].ready = true;
                }
                self.runs(self.running + taken.claimed());
                (taken.claimed() > 0).then_some(taken).zip(sent)
            }
        }
    }
}
