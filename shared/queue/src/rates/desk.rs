//! Where checks of one shard meet: those made at the same time go in one call.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    Allowance, Draw,
    shelf::{Known, Shelf},
    wire::{self, Asked},
};
use crate::{
    error::QueueError,
    link::{Link, timed_out},
    script::{self, MAX_ITEMS},
    wire as answers,
};

/// How long a check may take: it stands before work that somebody waits for.
const WITHIN: Duration = Duration::from_millis(500);
/// After a call that was not answered, nobody waits for the shard for so long; then one asks.
const AWAY_FOR: Duration = Duration::from_secs(1);
/// More checks than this do not wait for one shard.
const MOST_WAITING: usize = 8_192;
/// Calls on their way at the same time: while Redis carries one out, the next is written.
const CALLS: usize = 2;
/// A second call is worth its fixed cost from so many checks on.
const WORTH_A_CALL: usize = 16;

type Answer = Result<Allowance, QueueError>;

/// A check that waits for a call.
struct Check {
    draws: Vec<Draw>,
    /// Nobody, if units are only to be taken ahead.
    caller: Option<oneshot::Sender<Answer>>,
}

#[derive(Default)]
struct Desk {
    shelf: Shelf,
    waiting: VecDeque<Check>,
    /// Calls on their way.
    calls: usize,
    /// The shard did not answer; until then nobody waits for it.
    away_till: Option<Instant>,
}

impl Desk {
    fn begins(&mut self) -> bool {
        let wanted = if self.calls == 0 { 1 } else { WORTH_A_CALL };
        let begins = self.calls < CALLS && self.waiting.len() >= wanted;
        self.calls += usize::from(begins);
        begins
    }

    /// The checks of the call that leaves, with what it asks for each.
    fn board(&mut self) -> (Vec<Check>, Vec<Vec<Asked>>) {
        let (mut checks, mut asked, mut limits) = (Vec::new(), Vec::new(), 0);
        let now = Instant::now();
        while let Some(check) = self.waiting.front() {
            if !checks.is_empty() && limits + check.draws.len() > MAX_ITEMS {
                break;
            }
            let Some(check) = self.waiting.pop_front() else { break };
            if check.caller.as_ref().is_some_and(oneshot::Sender::is_closed) {
                continue;
            }
            limits += check.draws.len();
            asked.push(check.draws.iter().map(|draw| self.shelf.ask(*draw, now)).collect());
            checks.push(check);
        }
        (checks, asked)
    }
}

/// One per shard.
pub(crate) struct Desks {
    link: Link,
    tasks: TaskTracker,
    shards: Vec<Mutex<Desk>>,
}

impl std::fmt::Debug for Desks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desks")
    }
}

impl Desks {
    pub(crate) fn open(link: &Link, shards: u16, tasks: &TaskTracker) -> Arc<Self> {
        let shards = (0..shards).map(|_| Mutex::default()).collect();
        Arc::new(Self { link: link.clone(), tasks: tasks.clone(), shards })
    }

    fn desk(&self, shard: u16) -> MutexGuard<'_, Desk> {
        self.shards[usize::from(shard)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn check(self: &Arc<Self>, shard: u16, draws: &[Draw]) -> Answer {
        let (answer, goes) = {
            let mut desk = self.desk(shard);
            let now = Instant::now();
            match desk.shelf.look(draws, now) {
                Known::Answer(answer, fetch) if fetch.is_empty() => return Ok(answer),
                Known::Answer(answer, fetch) => {
                    // Each for itself: one that is refused must not keep another from being fetched.
                    desk.waiting.extend(
                        fetch.into_iter().map(|draw| Check { draws: vec![Draw { units: 0, ..draw }], caller: None }),
                    );
                    (Ok(answer), desk.begins())
                }
                Known::Unknown => {
                    if desk.away_till.is_some_and(|till| now < till) || desk.waiting.len() >= MOST_WAITING {
                        return Err(timed_out().into());
                    }
                    if let Some(till) = &mut desk.away_till {
                        *till = now + AWAY_FOR; // this one asks; the others do not wait for it
                    }
                    let (caller, answer) = oneshot::channel();
                    desk.waiting.push_back(Check { draws: draws.to_vec(), caller: Some(caller) });
                    (Err(answer), desk.begins())
                }
            }
        };
        if goes {
            self.go(shard);
        }
        let waiting = match answer {
            Ok(known) => return Ok(known),
            Err(waiting) => waiting,
        };
        if let Ok(answer) = timeout(WITHIN, waiting).await {
            answer.map_err(|_| QueueError::Closed)?
        } else {
            self.desk(shard).away_till = Some(Instant::now() + AWAY_FOR);
            Err(timed_out().into())
        }
    }

    /// Makes the calls for those who wait, until nobody does.
    fn go(self: &Arc<Self>, shard: u16) {
        let desks = Arc::clone(self);
        self.tasks.spawn(async move {
            let mut going = true;
            while going {
                // Whoever is about to ask in this moment comes along.
                tokio::task::yield_now().await;
                let (checks, asked) = desks.desk(shard).board();
                if desks.desk(shard).begins() {
                    desks.go(shard);
                }
                if !checks.is_empty() {
                    desks.call(shard, checks, &asked).await;
                }
                let mut desk = desks.desk(shard);
                desk.calls -= 1;
                going = desk.begins();
            }
        });
    }

    async fn call(&self, shard: u16, checks: Vec<Check>, asked: &[Vec<Asked>]) {
        let items = asked.iter().map(|check| {
            let mut item = Vec::with_capacity(34 * check.len());
            for limit in check {
                limit.append_to(&mut item);
            }
            item
        });
        let answer = self.link.call(&script::ALLOW, shard, &items.collect()).await;
        let told = answer.and_then(answers::bytes).and_then(|raw| wire::answers(&raw, asked.iter().map(Vec::len)));
        let mut desk = self.desk(shard);
        for draw in checks.iter().filter(|check| check.caller.is_none()).flat_map(|check| &check.draws) {
            desk.shelf.fetched(draw);
        }
        let now = Instant::now();
        match told {
            Ok(told) => {
                desk.away_till = None;
                for ((check, asked), (allowed, told)) in checks.into_iter().zip(asked).zip(told) {
                    let allowance = desk.shelf.note(asked, allowed, &told, now);
                    if let Some(caller) = check.caller {
                        let _ = caller.send(Ok(allowance)); // who does not wait any more has taken its units all the same
                    }
                }
            }
            Err(error) => {
                desk.away_till = Some(now + AWAY_FOR);
                for caller in checks.into_iter().filter_map(|check| check.caller) {
                    let _ = caller.send(Err(error.copy()));
                }
            }
        }
    }
}
