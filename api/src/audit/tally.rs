//! What anybody can cause as often as they like: refusals, and what strangers ask for. It is told, and cannot fill the database.
//!
//! Each is recorded when it happens first in an hour of the clock; how often it happened again is one more event at the hour's end, or when
//! the process stops. Same are those of one actor, or one network for strangers, doing one thing with one outcome to one user. When there
//! are [`MOST`] different ones in an hour, further ones are counted together for each operation. Counts of the running hour live in the
//! process: one that is killed loses them, but not the first of each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use postrider_shared::audit::{AuditActor, AuditKind, AuditOutcome, AuditedRequest, Happened};
use postrider_shared::ids::UserId;

use crate::app::App;
use crate::limits::counted_as;

/// Different ones in an hour, for each process.
const MOST: usize = 1_000;
/// How many are written in one transaction.
const TOGETHER: usize = 100;
/// How often the end of an hour is looked for.
const LOOK: Duration = Duration::from_secs(15);
/// How long to wait for a database that is away.
const PATIENCE: Duration = Duration::from_secs(1);

/// What happened again in this hour, and what is still to be written.
#[derive(Default)]
pub struct Tally(Mutex<State>);

#[derive(Default)]
struct State {
    /// Hours since 1970.
    hour: i64,
    seen: HashMap<Same, Repeats>,
    due: Vec<Happened>,
    writing: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Same {
    actor: AuditActor,
    network: Option<IpAddr>,
    operation: String,
    outcome: AuditOutcome,
    user: Option<UserId>,
}

/// The newest one, and how many came after the first.
struct Repeats {
    newest: Happened,
    times: u32,
}

impl Tally {
    /// Counts one, and has it written if it is the first of its kind.
    fn count(&self, mut event: Happened) {
        let mut state = self.lock();
        state.turn(event.at);
        let mut same = Same::of(&event);
        if !state.seen.contains_key(&same) && state.seen.len() >= MOST {
            // Whoever it was: the operation, and that there were many.
            event.request.subject_id = None;
            event.request.tenant = None;
            event.request.actor = AuditActor::Stranger;
            event.request.ip = None;
            event.user = None;
            same = Same::of(&event);
        }
        if let Some(repeats) = state.seen.get_mut(&same) {
            repeats.times = repeats.times.saturating_add(1);
            repeats.newest = event;
        } else {
            state.seen.insert(same, Repeats { newest: event.clone(), times: 0 });
            state.due.push(event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// At another hour what was counted falls due.
    fn turn(&mut self, now: DateTime<Utc>) {
        let hour = now.timestamp().div_euclid(3_600);
        if hour != self.hour {
            self.hour = hour;
            self.end();
        }
    }

    fn end(&mut self) {
        let repeated = self.seen.drain().filter(|(_, repeats)| repeats.times > 0);
        self.due.extend(repeated.map(|(_, repeats)| Happened { times: repeats.times, ..repeats.newest }));
    }
}

impl Same {
    fn of(event: &Happened) -> Self {
        let stranger = event.request.actor == AuditActor::Stranger;
        Self {
            actor: event.request.actor,
            network: event.request.ip.filter(|_| stranger).map(counted_as),
            operation: event.request.operation.clone(),
            outcome: event.outcome,
            user: event.user,
        }
    }
}

/// Notes something that anybody can cause at will. It is written beside the request, which neither waits for that nor fails.
pub fn note(app: &App, request: AuditedRequest, kind: AuditKind, outcome: AuditOutcome, user: Option<UserId>) {
    app.tally().count(Happened { request, at: app.clock().now(), kind, outcome, user, times: 1, after: None });
    begin_writing(app);
}

/// Has what is due written, by one task at a time, which the end of the process waits for.
fn begin_writing(app: &App) {
    let mut state = app.tally().lock();
    if !state.writing && !state.due.is_empty() {
        state.writing = true;
        let work = app.clone();
        app.tasks().spawn(async move { write(&work).await });
    }
}

/// Looks for the end of the hour for as long as the process runs.
pub async fn keep(app: App) {
    loop {
        tokio::time::sleep(LOOK).await;
        app.tally().lock().turn(app.clock().now());
        begin_writing(&app);
    }
}

/// Writes what was counted until now, because the process ends.
pub async fn close(app: &App) {
    app.tally().lock().end();
    write(app).await;
}

/// Writes what is due, until nothing is. What a database that is away did not take stays due.
async fn write(app: &App) {
    loop {
        let due: Vec<Happened> = {
            let mut state = app.tally().lock();
            let some = state.due.len().min(TOGETHER);
            state.writing = some > 0;
            state.due.drain(..some).collect()
        };
        if due.is_empty() {
            return;
        }
        if let Err(error) = app.stores().audit.happened(&due).await {
            tracing::error!(%error, events = due.len(), "refusals are not in the audit log yet");
            app.tally().lock().due.extend(due);
            tokio::time::sleep(PATIENCE).await;
            if app.stopping().is_cancelled() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn refused(minute: i64, address: u32) -> Happened {
        Happened {
            request: AuditedRequest {
                actor: AuditActor::Stranger,
                tenant: None,
                request_id: String::new(),
                ip: Some(Ipv4Addr::from(address).into()),
                operation: "login".to_owned(),
                resource: "auth".to_owned(),
                subject_id: None,
            },
            at: DateTime::from_timestamp(1_789_999_200 + minute * 60, 0).unwrap(),
            kind: AuditKind::SignIn,
            outcome: AuditOutcome::Refused,
            user: None,
            times: 1,
            after: None,
        }
    }

    fn due(tally: &Tally) -> Vec<u32> {
        tally.lock().due.drain(..).map(|event| event.times).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_at_the_hours_end() {
        let tally = Tally::default();
        for _ in 0..5 {
            tally.count(refused(0, 1));
        }
        assert_eq!(due(&tally), [1]);
        tally.lock().turn(refused(59, 1).at);
        assert_eq!(due(&tally), [0; 0]);
        tally.lock().turn(refused(60, 1).at);
        assert_eq!(due(&tally), [4]);
        tally.count(refused(61, 1));
        assert_eq!(due(&tally), [1], "another hour begins anew");
        tally.lock().end();
        assert_eq!(due(&tally), [0; 0], "there was no other");
    }

    #[test]
    fn a_hundred_thousand_addresses_leave_no_more_than_a_thousand_and_two() {
        let tally = Tally::default();
        for address in 0..100_000 {
            tally.count(refused(0, address));
        }
        tally.lock().end();
        let due = due(&tally);
        assert_eq!((due.len(), due.iter().sum::<u32>()), (MOST + 2, 100_000));
    }

    #[test]
    fn a_network_of_version_six_is_one() {
        let tally = Tally::default();
        for address in ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"] {
            let mut event = refused(0, 0);
            event.request.ip = Some(address.parse().unwrap());
            tally.count(event);
        }
        assert_eq!(tally.lock().seen.len(), 2);
    }
}
