//! A message that its server does not hand over is set aside, so that it keeps back nothing behind it. A server that is away, or hands
//! over nothing at all, is waited for: that is no message's fault.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::mail::Failing;
use tokio::time::timeout;

use super::Trouble;
use super::folder::FOLDER;
use super::message::Place;
use crate::context::Context;
use crate::providers::imap::{ImapError, Login, Session, Stage};

/// Runs that may fail at a message while others can be had.
const MOST_FAILURES: u32 = 3;
/// Where no other message can be had either, nothing that could be read waits behind this one: then the server gets this long.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(1);
/// For finding out whose fault it is.
const LIMIT: Duration = Duration::from_mins(2);

/// What a failed fetch means: why the message is to be set aside, with a new session, or the error, if it is to be tried again.
pub(super) async fn judge(
    ctx: &Context,
    login: &Login,
    place: &Place<'_>,
    error: ImapError,
) -> Result<(Session, String), Trouble> {
    let Some(reason) = reason(&error) else { return Err(error.into()) };
    let Ok(looked) = timeout(LIMIT, look(ctx, login, place, &error)).await else { return Err(error.into()) };
    let (session, witnessed) = looked?;
    if matches!(error, ImapError::TooMuch { .. }) {
        return Ok((session, reason.to_owned()));
    }
    let (tenant, account, uid) = (place.account.tenant_id, place.account.id, place.listed.uid);
    let failing = ctx.mail.failed_at(tenant, (account, place.folder), (place.epoch, uid), witnessed).await?;
    let failures = failing.failures;
    if !is_given_up(failing, witnessed, ctx.clock.now()) {
        tracing::warn!(account.id = %account, mail.uid = uid, failures, witnessed, reason, "a mail cannot be fetched");
        session.close().await;
        return Err(error.into());
    }
    metrics::counter!("postrider_mails_set_aside_total").increment(1);
    tracing::error!(account.id = %account, mail.uid = uid, failures, witnessed, reason, "a mail that cannot be fetched is set aside");
    ctx.log(format!("a mail cannot be fetched and is set aside: {reason}")).await;
    Ok((session, format!("the mail cannot be fetched: {error}")))
}

/// The header of a message that is set aside, as far as it can be had, and a session that is of use.
pub(super) async fn header(login: &Login, mut session: Session, uid: u32) -> Result<(Session, Bytes), Trouble> {
    match session.fetch_header(uid).await {
        Ok(header) => Ok((session, header.unwrap_or_default())),
        Err(error) if reason(&error).is_some() => Ok((open(login).await?.0, Bytes::new())),
        Err(error) => Err(error.into()),
    }
}

/// What a message itself may cause.
fn reason(error: &ImapError) -> Option<&'static str> {
    match error {
        ImapError::TooMuch { .. } => Some("the mail is larger than its server says, or than can be read"),
        ImapError::Closed { stage: Stage::Fetch } => Some("its server closes the connection"),
        ImapError::Timeout { stage: Stage::Fetch, .. } => Some("its server does not answer"),
        ImapError::Protocol { stage: Stage::Fetch, .. } => Some("its server breaks the protocol"),
        ImapError::Refused { stage: Stage::Fetch, .. } => Some("its server refuses it"),
        ImapError::Withheld { .. } => Some("its server lists it only"),
        ImapError::Closed { .. }
        | ImapError::Timeout { .. }
        | ImapError::Protocol { .. }
        | ImapError::Refused { .. }
        | ImapError::Unreachable { .. }
        | ImapError::Forbidden
        | ImapError::Tls { .. }
        | ImapError::Insecure { .. }
        | ImapError::Busy { .. }
        | ImapError::LoginRefused { .. }
        | ImapError::Unsendable => None,
    }
}

fn is_given_up(failing: Failing, witnessed: bool, now: DateTime<Utc>) -> bool {
    if witnessed { failing.failures >= MOST_FAILURES } else { now - failing.since >= LONGEST_WAIT }
}

/// A new session, and whether the server hands over another message of the folder. Fails where the server is away.
async fn look(
    ctx: &Context,
    login: &Login,
    place: &Place<'_>,
    error: &ImapError,
) -> Result<(Session, bool), ImapError> {
    let (mut session, exists) = open(login).await?;
    if matches!(error, ImapError::TooMuch { .. }) {
        return Ok((session, false));
    }
    // The newest, the oldest, and another one each time: one of them may be such a message, too.
    let at = ctx.clock.now().timestamp_millis().unsigned_abs();
    let any = u32::try_from(at % u64::from(exists.max(1))).unwrap_or_default() + 1;
    let mut numbers = vec![exists, 1, any];
    numbers.dedup();
    for number in numbers.into_iter().filter(|number| (1..=exists).contains(number)) {
        match session.hands_over(number, place.listed.uid).await {
            Ok(true) => return Ok((session, true)),
            Ok(false) => {}
            Err(_) => session = open(login).await?.0,
        }
    }
    Ok((session, false))
}

/// A new session in the folder, and how many messages are there.
pub(super) async fn open(login: &Login) -> Result<(Session, u32), ImapError> {
    let mut session = Session::open(login).await?;
    let selected = session.select(FOLDER).await?;
    Ok((session, selected.exists.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_given_up_after_three_runs_or_where_nothing_can_be_had_after_a_day() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let failing = |failures, hours| Failing { failures, since: now - TimeDelta::hours(hours) };
        assert!(!is_given_up(failing(2, 1_000), true, now));
        assert!(is_given_up(failing(3, 0), true, now));
        assert!(!is_given_up(failing(3, 23), false, now), "the server keeps everything from us now");
        assert!(is_given_up(failing(0, 24), false, now));
    }

    #[test]
    fn trouble_before_a_fetch_is_no_mails_fault() {
        let limit = Duration::from_secs(1);
        for stage in [Stage::Connect, Stage::Tls, Stage::Greeting, Stage::Login, Stage::Select, Stage::List] {
            for error in [ImapError::Closed { stage }, ImapError::Timeout { stage, limit }] {
                assert_eq!(reason(&error), None, "{error}");
            }
        }
        assert_eq!(reason(&ImapError::Unreachable { detail: "refused".into() }), None);
        assert!(reason(&ImapError::Timeout { stage: Stage::Fetch, limit }).is_some());
    }
}
