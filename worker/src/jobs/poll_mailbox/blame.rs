//! A message that its server does not hand over, or that breaks the listing of its folder, is set aside, so that it keeps back nothing
//! behind it. A server that is away, or answers nothing at all, is waited for: that is no message's fault.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::mail::Failing;
use tokio::time::timeout;

use super::Trouble;
use super::inbox::Inbox;
use super::message::Place;
use crate::context::Context;
use crate::providers::imap::{ImapError, Stage};

/// Runs that may fail at a message while others can be had.
const MOST_FAILURES: u32 = 3;
/// Where no other message can be had either, nothing that could be read waits behind this one: then the server gets this long.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(1);
/// For finding out whose fault it is.
const LIMIT: Duration = Duration::from_mins(2);

/// What a failed fetch, or listing of this message alone, means: why that is to be tried no more, or the error, if it is to be tried
/// again. The session is a new one.
pub(super) async fn judge(
    ctx: &Context,
    inbox: &mut Inbox<'_>,
    place: &Place<'_>,
    error: ImapError,
) -> Result<String, Trouble> {
    inbox.spoiled();
    let Some((stage, reason)) = reason(&error) else { return Err(error.into()) };
    if stage == Stage::Fetch && matches!(error, ImapError::TooMuch { .. }) {
        inbox.session().await?;
        return Ok(reason.to_owned());
    }
    let Ok(looked) = timeout(LIMIT, look(ctx, inbox, place, stage)).await else { return Err(error.into()) };
    let witnessed = looked?;
    let (tenant, account, uid) = (place.account.tenant_id, place.account.id, place.listed.uid);
    let failing = ctx.mail.failed_at(tenant, (account, place.folder), (place.epoch, uid), witnessed).await?;
    let failures = failing.failures;
    let doing = if stage == Stage::List { "listed" } else { "fetched" };
    if !is_given_up(failing, witnessed, ctx.clock.now()) {
        tracing::warn!(account.id = %account, mail.uid = uid, failures, witnessed, reason, "a mail cannot be {doing}");
        return Err(error.into());
    }
    if stage == Stage::List {
        tracing::warn!(account.id = %account, mail.uid = uid, failures, witnessed, reason, "a mail is fetched without being listed");
    } else {
        metrics::counter!("postrider_mails_set_aside_total").increment(1);
        tracing::error!(account.id = %account, mail.uid = uid, failures, witnessed, reason, "a mail that cannot be fetched is set aside");
        ctx.log(format!("a mail cannot be fetched and is set aside: {reason}")).await;
    }
    Ok(format!("the mail cannot be {doing}: {error}"))
}

/// The header of a message that is set aside, as far as it can be had.
pub(super) async fn header(inbox: &mut Inbox<'_>, uid: u32) -> Result<Bytes, Trouble> {
    match inbox.session().await?.fetch_header(uid).await {
        Ok(header) => Ok(header.unwrap_or_default()),
        Err(error) if reason(&error).is_some() => {
            inbox.spoiled();
            inbox.session().await?;
            Ok(Bytes::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// What a message itself may cause, and where.
fn reason(error: &ImapError) -> Option<(Stage, &'static str)> {
    let (stage, reason) = match error {
        ImapError::TooMuch { stage } => (*stage, "the mail is larger than its server says, or than can be read"),
        ImapError::Closed { stage } => (*stage, "its server closes the connection"),
        ImapError::Timeout { stage, .. } => (*stage, "its server does not answer"),
        ImapError::Protocol { stage, .. } => (*stage, "its server breaks the protocol"),
        ImapError::Refused { stage, .. } => (*stage, "its server refuses it"),
        ImapError::Withheld { .. } => (Stage::Fetch, "its server lists it only"),
        ImapError::Unreachable { .. }
        | ImapError::Forbidden
        | ImapError::Tls { .. }
        | ImapError::Insecure { .. }
        | ImapError::Busy { .. }
        | ImapError::LoginRefused { .. }
        | ImapError::Unsendable => return None,
    };
    matches!(stage, Stage::List | Stage::Fetch).then_some((stage, reason))
}

fn is_given_up(failing: Failing, witnessed: bool, now: DateTime<Utc>) -> bool {
    if witnessed { failing.failures >= MOST_FAILURES } else { now - failing.since >= LONGEST_WAIT }
}

/// Whether the server lists, or hands over, another message of the folder in a new session. Fails where the server is away.
async fn look(ctx: &Context, inbox: &mut Inbox<'_>, place: &Place<'_>, stage: Stage) -> Result<bool, ImapError> {
    inbox.session().await?;
    let exists = inbox.exists();
    // The newest, the oldest, and another one each time: one of them may be such a message, too.
    let at = ctx.clock.now().timestamp_millis().unsigned_abs();
    let any = u32::try_from(at % u64::from(exists.max(1))).unwrap_or_default() + 1;
    let mut numbers = vec![exists, 1, any];
    numbers.dedup();
    for number in numbers.into_iter().filter(|number| (1..=exists).contains(number)) {
        let session = inbox.session().await?;
        let answered = match stage {
            Stage::List => session.lists(number, place.listed.uid).await,
            _ => session.hands_over(number, place.listed.uid).await,
        };
        match answered {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(_) => inbox.spoiled(),
        }
    }
    inbox.session().await?;
    Ok(false)
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
        for stage in [Stage::Connect, Stage::Tls, Stage::Greeting, Stage::Login, Stage::Select, Stage::Idle] {
            for error in [ImapError::Closed { stage }, ImapError::Timeout { stage, limit }] {
                assert_eq!(reason(&error), None, "{error}");
            }
        }
        assert_eq!(reason(&ImapError::Unreachable { detail: "refused".into() }), None);
        for stage in [Stage::List, Stage::Fetch] {
            assert!(reason(&ImapError::Timeout { stage, limit }).is_some());
        }
    }
}
