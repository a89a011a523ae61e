//! One message: fetched, kept as it is in the object store, read, recorded with the job that follows.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use mail_parser::MessageParser;
use postrider_queue::{NewJob, Stop};
use postrider_shared::accounts::Account;
use postrider_shared::jobs::ExtractRequest;
use postrider_shared::mail::{Epoch, NewMail, Recorded, dedupe_key};
use postrider_shared::objects::raw_mail_key;

use super::Trouble;
use super::start::LATE;
use crate::context::Context;
use crate::mail::{CutOff, Mail, apart};
use crate::providers::imap::{ImapError, Listed, Session};

/// The largest mail that is fetched whole; of a larger one only its header is kept.
const MAX_MAIL_BYTES: u64 = 50 * 1024 * 1024;
/// How much two servers' clocks may differ.
const CLOCKS: TimeDelta = TimeDelta::hours(1);

/// Where a message is.
pub(super) struct Place<'a> {
    pub(super) account: &'a Account,
    pub(super) folder: &'static str,
    pub(super) epoch: Epoch,
    pub(super) listed: Listed,
    /// What its provider calls it, where it has such ids.
    pub(super) provider_id: Option<String>,
    /// The server numbered its messages anew, and this was there already: it may be an old one that comes as new.
    pub(super) doubt: Option<Doubt>,
}

/// How a message may be an old one although it seems to be new. Mail that was recorded is known by its dedupe key; what lay in the
/// folder when we began to read it, by the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The snapshot is whole and this is not in it. Still it may be a mail that had been deleted long before, and is restored.
    Unseen,
    /// There is no whole snapshot.
    Dates {
        /// Recorded mail was found again with the same times of arrival, and none with others near this one's: so it is true
        /// as well. Some servers lose the times of arrival when they restore a mailbox.
        times_kept: bool,
    },
}

impl Doubt {
    /// Whether a mail that was not recorded is from before the connection. Its server noted the arrival at the top of its
    /// header, which a restored copy keeps; without that, without a snapshot, and without times of arrival that were kept, only the
    /// sender's own date is left.
    fn is_old(self, account: &Account, noted: Option<DateTime<Utc>>, sent_at: Option<DateTime<Utc>>) -> bool {
        match (self, noted) {
            (Self::Unseen, Some(arrived)) => arrived < account.connected_at - LATE,
            (Self::Unseen, None) => false,
            (Self::Dates { .. }, Some(arrived)) => arrived < account.connected_at - CLOCKS,
            (Self::Dates { times_kept }, None) => {
                !times_kept && sent_at.is_some_and(|sent| sent < account.connected_at - LATE)
            }
        }
    }
}

/// What became of it.
#[derive(Clone, Copy)]
pub(super) enum Taken {
    Recorded,
    Known,
    Failed,
    Old,
    Gone,
}

/// How long fetching a message may take.
pub(super) fn patience(session: &Session, listed: &Listed) -> Duration {
    session.fetch_patience(listed.size.map_or(MAX_MAIL_BYTES, u64::from).min(MAX_MAIL_BYTES))
}

/// Fetches and records a message.
pub(super) async fn take(ctx: &Context, session: &mut Session, place: &Place<'_>) -> Result<Taken, Trouble> {
    let size = place.listed.size.map(u64::from);
    if let Some(size) = size.filter(|size| *size > MAX_MAIL_BYTES) {
        let reason = format!("the mail has {} MB, more than the {} MB that are read", mega(size), mega(MAX_MAIL_BYTES));
        let header = match session.fetch_header(place.listed.uid).await {
            Ok(header) => header.unwrap_or_default(),
            // The reason is all there is.
            Err(ImapError::Protocol { .. } | ImapError::Refused { .. }) => Bytes::new(),
            Err(other) => return Err(other.into()),
        };
        return record(ctx, place, header, Some(reason)).await;
    }
    // Large mails of many mailboxes at once must not use up the memory together.
    let _memory = ctx.mail_memory.reserve(place.account.tenant_id, size.unwrap_or(MAX_MAIL_BYTES)).await;
    let patience = patience(session, &place.listed);
    let fetched = session.fetch_within(place.listed.uid, MAX_MAIL_BYTES, patience).await?;
    let Some(raw) = fetched else { return Ok(Taken::Gone) };
    record(ctx, place, raw, None).await
}

/// Records a message, or as much of its header as there is, with the reason why it cannot be read.
pub(super) async fn record(
    ctx: &Context,
    place: &Place<'_>,
    raw: Bytes,
    failure: Option<String>,
) -> Result<Taken, Trouble> {
    let (tenant, account) = (place.account.tenant_id, place.account.id);
    let (mail, noted) = understood(apart(reader(raw.clone())).await)?;
    if let Some(doubt) = place.doubt
        && doubt.is_old(place.account, noted, mail.sent_at)
    {
        return Ok(Taken::Old);
    }
    let unreadable = failure.or_else(|| mail.unreadable.map(str::to_owned));
    let failed = unreadable.is_some();
    let key = match (&mail.message_id, raw.is_empty()) {
        (None, true) => format!("uid:{}:{}", place.epoch.uid_validity, place.listed.uid),
        (id, _) => dedupe_key(id.as_deref(), &raw),
    };
    let mut new = NewMail {
        account_id: account,
        folder: place.folder.to_owned(),
        uid_validity: place.epoch.uid_validity,
        epoch: place.epoch.epoch,
        uid: place.listed.uid,
        dedupe_key: key,
        rfc_message_id: mail.message_id,
        provider_id: place.provider_id.clone(),
        in_reply_to: mail.in_reply_to,
        references: mail.references,
        from_address: mail.from_address.unwrap_or_default(),
        from_name: mail.from_name,
        subject: mail.subject,
        sent_at: mail.sent_at,
        received_at: place.listed.received_at.unwrap_or_else(|| ctx.clock.now()),
        raw_key: String::new(),
        size: place.listed.size.map_or(raw.len() as u64, u64::from),
        text: mail.text,
        failure: unreadable,
    };
    let id = new.id();
    new.raw_key = raw_mail_key(tenant, account, id);
    ctx.objects.put(&new.raw_key, raw).await.map_err(Stop::from)?;
    let jobs: Vec<NewJob> = if failed {
        vec![]
    } else {
        vec![ctx.follow_up(&ExtractRequest { mail_id: id }, &["extract", &id.to_string()])?]
    };
    // The queue may be away; the mail is recorded all the same, and the scheduler defines what is not.
    if let Err(error) = ctx.scopes.define_shares_of(&jobs).await {
        tracing::warn!(%error, mail.id = %id, "the tenant's shares are not defined yet");
    }
    match ctx.mail.record(tenant, new, jobs).await? {
        Recorded::Known(_) => Ok(Taken::Known),
        Recorded::New { outbox, .. } => {
            // At once for speed; the scheduler's sweep repeats whatever was not marked.
            if let Err(error) = ctx.relay.relay(tenant, &outbox).await {
                tracing::warn!(%error, mail.id = %id, "the follow-up waits in the outbox");
            }
            Ok(if failed { Taken::Failed } else { Taken::Recorded })
        }
    }
}

/// Reads a mail, and when its server noted that it arrived.
fn reader(raw: Bytes) -> impl FnOnce() -> (Mail, Option<DateTime<Utc>>) {
    move || {
        let header = MessageParser::default().parse_headers(&raw);
        let noted = header.as_ref().and_then(|header| header.received()?.date());
        let noted = noted.and_then(|noted| DateTime::from_timestamp(noted.to_timestamp(), 0));
        (Mail::parse(&raw), noted)
    }
}

/// A mail that crashes its reader would do so at each try: it is recorded like any other that cannot be read.
fn understood<T: Default>(read: Result<(Mail, T), CutOff>) -> Result<(Mail, T), Stop> {
    match read {
        Ok(read) => Ok(read),
        Err(CutOff::Crashed) => {
            tracing::error!("a mail crashes its reader: it is recorded as it came");
            let mail = Mail { unreadable: Some("the mail makes its reader crash"), ..Mail::default() };
            Ok((mail, T::default()))
        }
        Err(CutOff::Stopped) => Err(CutOff::Stopped.into()),
    }
}

fn mega(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mail_that_crashes_its_reader_is_one_that_cannot_be_read() {
        let crashed = apart(|| -> (Mail, Option<DateTime<Utc>>) { panic!("what the mail says") }).await;
        assert_eq!(crashed, Err(CutOff::Crashed));
        let (mail, noted) = understood(crashed).unwrap();
        assert_eq!((mail.unreadable, noted), (Some("the mail makes its reader crash"), None));
        let stopped = understood::<Option<DateTime<Utc>>>(Err(CutOff::Stopped)).unwrap_err();
        assert!(matches!(stopped, Stop::Retry { .. }), "{stopped}");
        let raw =
            Bytes::from_static(b"Received: by mx; Mon, 2 Nov 2026 10:00:00 +0000\r\nSubject: Plates\r\n\r\nTwo.\r\n");
        let (mail, noted) = understood(apart(reader(raw)).await).unwrap();
        assert_eq!((mail.subject.as_str(), mail.unreadable), ("Plates", None));
        assert_eq!(noted, "2026-11-02T10:00:00Z".parse().ok());
    }
}
