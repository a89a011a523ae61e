//! Accounts with caps, and senders that are killed: over midnights, over a change of the clocks, and over moving days. The
//! provider, which is never killed, says whether any account ever sent one too many.

mod accounts;
mod provider;
pub mod sender;

use std::cell::Cell;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{NewJob, QueueClient};
use postrider_tests::platform::FakedTime;
use postrider_tests::process::Recipe;
use postrider_tests::wait::within;
use postrider_tests::{Process, RedisServer, Report};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use accounts::{Account, Group, start};
use provider::{Provider, Testimony};
use sender::Send;

use crate::jobs;

/// Before an end of windows the clock is set to so much earlier, and runs on from there. Long enough for senders whose sessions
/// ended by the jump, or that are killed right then, to send again before the end.
const EVE: TimeDelta = TimeDelta::milliseconds(9_500);
/// Redis notices a new time within a second.
const NOTICED: Duration = Duration::from_millis(1_500);
/// Nothing was sent for so long and nothing runs: all that may be sent was.
const QUIET: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(15 * 60);

struct Size {
    accounts: usize,
    groups: usize,
    cap: usize,
    senders: usize,
    /// Ends of windows that each account sees.
    ends: usize,
    /// Units of a day left for its last seconds.
    left_for_the_eve: usize,
    least_used_percent: f64,
    asked_again: usize,
    /// Between a sender's death and the next one's.
    kill_every_ms: std::ops::Range<u64>,
}

const SHORT: Size = Size {
    accounts: 20,
    groups: 1,
    cap: 25,
    senders: 4,
    ends: 1,
    left_for_the_eve: 1,
    least_used_percent: 95.0,
    asked_again: 1,
    kill_every_ms: 50..200,
};
const LONG: Size = Size {
    accounts: 500,
    groups: 6,
    cap: 250,
    senders: 16,
    ends: 2,
    left_for_the_eve: 2,
    least_used_percent: 99.5,
    asked_again: 20,
    kill_every_ms: 700..2_500,
};

struct Drill {
    size: Size,
    accounts: Vec<Account>,
    time: FakedTime,
    client: QueueClient,
    provider: Provider,
    senders: Vec<Process>,
    kills: Cell<usize>,
}

pub async fn run(seed: u64, short: bool) -> Report {
    let started = Instant::now();
    let size = if short { SHORT } else { LONG };
    let folder = tempfile::tempdir().expect("make a folder");
    let time = FakedTime::starting_at(folder.path(), start()).noticed_within_a_second();
    // Redis itself is not killed here, so nothing depends on its disk.
    let redis = RedisServer::start_with(folder.path(), Some(&time), &["--appendfsync", "everysec"]).await;
    let client = jobs::client(&redis).await;
    let provider = Provider::start(seed, &time).await;
    let accounts = Account::all(size.accounts, size.groups, size.cap);
    for account in &accounts {
        client.define_scope(&account.tenant(), &account.scope(), &account.limits()).await.expect("define a scope");
    }
    let sender = |number: usize| {
        let name = format!("sender-{number}");
        Process::spawn(Recipe {
            program: std::env::current_exe().expect("know the own path"),
            arguments: ["caps-sender", "--redis", &redis.url(), "--provider", &provider.address]
                .map(String::from)
                .into(),
            environment: Vec::new(),
            privileges: Vec::new(),
            log: folder.path().join(format!("{name}.log")),
            ready: sender::READY.to_owned(),
            name,
        })
    };
    let senders: Vec<Process> = (0..size.senders).map(sender).collect();
    let drill = Drill { size, accounts, time, client, provider, senders, kills: Cell::new(0) };
    for sender in &drill.senders {
        sender.ready().await;
    }
    let mut dice = StdRng::seed_from_u64(seed);
    tokio::select! {
        () = drill.days() => {}
        () = drill.kill(&mut dice) => {}
    }
    let testimony = drill.provider.testimony();
    let mut report = drill.judge(&testimony);
    report.figure("seed", seed).decimal("took_s", started.elapsed().as_secs_f64());
    report
}

impl Drill {
    /// All windows of all accounts, one end after another.
    async fn days(&self) {
        self.plant("first", |account| self.size.cap - self.left_for_the_eve(account.group)).await;
        self.quiet().await;
        let groups = &accounts::GROUPS[..self.size.groups];
        let mut ends: Vec<(DateTime<Utc>, usize, Group)> = Vec::new();
        for group in groups {
            let windows = group.windows(self.size.ends);
            ends.extend(windows.iter().enumerate().map(|(place, window)| (window.ends_at, place + 1, *group)));
        }
        ends.sort_by_key(|(end, _, _)| *end);
        for (end, place, group) in ends {
            self.provider.expect_midnight(end);
            self.time.set(end - EVE);
            tokio::time::sleep(NOTICED).await;
            let left = self.left_for_the_eve(group);
            self.plant(&format!("eve {end}"), |account| if account.group == group { left } else { 0 }).await;
            // Before the last end more is planted than may ever be sent.
            let next = if place == self.size.ends { self.size.cap + self.size.cap / 10 } else { self.size.cap - left };
            self.plant(&format!("day {end}"), |account| if account.group == group { next } else { 0 }).await;
            while self.time.now() < end {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let target = next.min(self.size.cap) * self.accounts.iter().filter(|a| a.group == group).count();
            let of_group = |number: usize| self.accounts[number].group == group;
            let since = Instant::now();
            // Units of a moving day come back as slowly as they were used, so its quiet moments mean nothing.
            while group == Group::Moving
                && self.provider.accepted_since(end, of_group) < target
                && since.elapsed() < PATIENCE / 5
            {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            self.quiet().await;
        }
    }

    /// Units of a calendar day that are left for its last seconds; those of a moving day would come back as late.
    fn left_for_the_eve(&self, group: Group) -> usize {
        if group == Group::Moving { 0 } else { self.size.left_for_the_eve }
    }

    /// So many sends for each account. Their ids follow from `round`, so that an unanswered call is repeated.
    async fn plant(&self, round: &str, count: impl Fn(&Account) -> usize) {
        let job = |account: &Account, number: usize| {
            let send = Send { account: account.number, lane: account.lane() };
            let parts = [round, &account.number.to_string(), &number.to_string()];
            let id = self.client.derived_job_id(&account.tenant(), &parts);
            NewJob { id: Some(id), ..NewJob::of(account.tenant(), &send).expect("a job") }
        };
        let jobs = || {
            let of = |account| (0..count(account)).map(move |number| job(account, number));
            self.accounts.iter().flat_map(of).collect::<Vec<_>>()
        };
        within(PATIENCE, "the sends to be enqueued", || async { self.client.enqueue_many(jobs()).await.ok() }).await;
    }

    /// Waits until nothing runs and nothing more is sent.
    async fn quiet(&self) {
        let started = Instant::now();
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let Ok(stats) = self.client.queue(&<Send as postrider_queue::Job>::QUEUE).await else { continue };
            let sent = self.provider.accepted();
            if sent != seen || stats.running + stats.retryable + stats.scheduled > 0 {
                (seen, since) = (sent, Instant::now());
            }
            if since.elapsed() > QUIET {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "the senders come to no end: {stats:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Kills a sender in the midst of sending, now and then, and starts it again.
    async fn kill(&self, dice: &mut StdRng) {
        loop {
            let before = self.provider.accepted();
            while self.provider.accepted() < before + 10 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let sender = &self.senders[dice.random_range(0..self.senders.len())];
            sender.kill();
            sender.start();
            self.kills.set(self.kills.get() + 1);
            tokio::time::sleep(Duration::from_millis(dice.random_range(self.size.kill_every_ms.clone()))).await;
        }
    }

    fn judge(&self, testimony: &Testimony) -> Report {
        let size = &self.size;
        let sent: usize = testimony.accepted.values().map(Vec::len).sum();
        let most = self.accounts.iter().map(|account| {
            account.most_in_a_window(testimony.accepted.get(&account.number).map_or(&[], Vec::as_slice))
        });
        let most: Vec<usize> = most.collect();
        let over = most.iter().filter(|most| **most > size.cap).count();
        let room = size.accounts * size.cap * (size.ends + 1);
        let used_percent = 100.0 * ratio(sent, room);
        let mut report = Report::new("caps");
        report
            .figure("accounts", size.accounts)
            .figure("cap", size.cap)
            .figure("groups", accounts::GROUPS[..size.groups].iter().map(|g| format!("{g:?}")).collect::<Vec<_>>())
            .figure("windows_per_account", size.ends + 1)
            .figure("senders", size.senders)
            .figure("kills", self.kills.get())
            .figure("sends_that_a_kill_left_in_doubt", testimony.asked_again)
            .figure("sends_under_way_at_the_end_of_a_window", testimony.over_midnight)
            .figure("refused", testimony.refused)
            .figure("accepted_without_an_answer", testimony.silent)
            .figure("accepted", sent)
            .figure("most_in_any_window", most.iter().copied().max().unwrap_or_default())
            .figure("accounts_over_their_cap", over)
            .decimal("used_percent", used_percent)
            .must("no account sent more than its cap in any window", over == 0)
            .must("the caps were used up", used_percent >= size.least_used_percent)
            .must("kills hit sends under way", testimony.asked_again >= size.asked_again)
            .must("sends were under way when windows ended", testimony.over_midnight > 0);
        report
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a drill are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
