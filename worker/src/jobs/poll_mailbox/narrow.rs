//! Asking about many messages at once where one of them breaks the answer: they are asked about in smaller and smaller parts until
//! it is alone. A server answers such a question as a whole or not at all, and what one message does to it, it does each time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use postrider_shared::mail::Print;

use super::Trouble;
use super::inbox::Inbox;
use crate::context::Context;
use crate::providers::Classed as _;
use crate::providers::imap::{ImapError, Listed, Session, Since, Stage};

/// For asking in parts. It ends in time for what was answered to be read.
const LIMIT: Duration = Duration::from_mins(1);
/// Messages asked about at once in the end.
const PART: usize = 200;
/// Messages that may break an answer, for each run.
const MOST_BROKEN: usize = 16;
/// So many at the beginning, and none that is told of: that is the server's trouble.
const ALL_BROKEN: usize = 3;

/// What is asked of some messages.
pub(super) trait Question {
    type Answer: Send;

    fn ask(
        &self,
        session: &mut Session,
        uids: &[u32],
    ) -> impl Future<Output = Result<BTreeMap<u32, Self::Answer>, ImapError>> + Send;
}

/// Its size, and when it arrived.
struct Entries;
/// What a mail is known by, see [`Print`].
pub(super) struct Prints;
pub(super) struct MessageIds;
/// What Gmail calls it.
pub(super) struct GmailIds;

impl Question for Entries {
    type Answer = Listed;

    async fn ask(&self, session: &mut Session, uids: &[u32]) -> Result<BTreeMap<u32, Listed>, ImapError> {
        session.entries(uids).await
    }
}

impl Question for Prints {
    type Answer = Print;

    async fn ask(&self, session: &mut Session, uids: &[u32]) -> Result<BTreeMap<u32, Print>, ImapError> {
        session.prints(uids).await
    }
}

impl Question for MessageIds {
    type Answer = String;

    async fn ask(&self, session: &mut Session, uids: &[u32]) -> Result<BTreeMap<u32, String>, ImapError> {
        session.message_ids(uids).await
    }
}

impl Question for GmailIds {
    type Answer = String;

    async fn ask(&self, session: &mut Session, uids: &[u32]) -> Result<BTreeMap<u32, String>, ImapError> {
        session.gmail_ids(uids).await
    }
}

/// What was answered about some messages.
pub(super) struct Answers<T> {
    pub(super) found: BTreeMap<u32, T>,
    /// Those that break the answer also when nothing else is asked.
    pub(super) broken: BTreeMap<u32, ImapError>,
    /// Why not all of them were asked about, if they were not: these are the first ones.
    pub(super) cut: Option<ImapError>,
}

impl<T> Answers<T> {
    fn whole(found: BTreeMap<u32, T>) -> Self {
        Self { found, broken: BTreeMap::new(), cut: None }
    }
}

/// The `limit` messages with the lowest UIDs since then.
pub(super) async fn list(
    ctx: &Context,
    inbox: &mut Inbox<'_>,
    since: Since,
    limit: usize,
) -> Result<Answers<Listed>, Trouble> {
    let error = match inbox.session().await?.list(since, limit).await {
        Ok(listed) => return Ok(Answers::whole(listed.into_iter().map(|listed| (listed.uid, listed)).collect())),
        Err(error) => error,
    };
    if !is_of_a_part(&error) {
        return Err(error.into());
    }
    inbox.spoiled();
    let mut uids = inbox.session().await?.uids(since).await?;
    uids.truncate(limit);
    tracing::info!(mails = uids.len(), error.class = error.class(), "new mail is listed in parts");
    in_parts(ctx, inbox, &Entries, &uids, error).await
}

/// Asks about these messages.
pub(super) async fn ask<Q: Question>(
    ctx: &Context,
    inbox: &mut Inbox<'_>,
    question: &Q,
    uids: &[u32],
) -> Result<Answers<Q::Answer>, Trouble> {
    if uids.is_empty() {
        return Ok(Answers::whole(BTreeMap::new()));
    }
    match question.ask(inbox.session().await?, uids).await {
        Ok(found) => Ok(Answers::whole(found)),
        Err(error) if is_of_a_part(&error) => {
            inbox.spoiled();
            in_parts(ctx, inbox, question, uids, error).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks about all of these messages but for those that break the answer. Fails where nothing is answered, or not in time.
pub(super) async fn ask_all<Q: Question>(
    ctx: &Context,
    inbox: &mut Inbox<'_>,
    question: &Q,
    uids: &[u32],
) -> Result<Answers<Q::Answer>, Trouble> {
    let answers = ask(ctx, inbox, question, uids).await?;
    match answers.cut {
        Some(error) => Err(error.into()),
        None => Ok(answers),
    }
}

/// A part that was answered is followed by one twice as large, one that was not by its first half: so the run comes up to the broken
/// message however slow its server is, and it stands first in the next one.
async fn in_parts<Q: Question>(
    ctx: &Context,
    inbox: &mut Inbox<'_>,
    question: &Q,
    uids: &[u32],
    error: ImapError,
) -> Result<Answers<Q::Answer>, Trouble> {
    let begun = Instant::now();
    let mut answers = Answers::whole(BTreeMap::new());
    let (mut at, mut size) = (0, 1);
    let mut last = error;
    while at < uids.len() {
        ctx.go_on()?;
        let given_up = answers.broken.len() >= if answers.found.is_empty() { ALL_BROKEN } else { MOST_BROKEN };
        if given_up || begun.elapsed() > LIMIT {
            answers.cut = Some(last);
            break;
        }
        let part = &uids[at..(at + size).min(uids.len())];
        match question.ask(inbox.session().await?, part).await {
            Ok(found) => {
                answers.found.extend(found);
                at += part.len();
                size = (size * 2).min(PART);
            }
            Err(error) if is_of_a_part(&error) => {
                inbox.spoiled();
                last = error.clone();
                if let [alone] = part {
                    answers.broken.insert(*alone, error);
                    at += 1;
                } else {
                    size = part.len() / 2;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(answers)
}

/// What one of the messages, or their number, may cause.
fn is_of_a_part(error: &ImapError) -> bool {
    match error {
        ImapError::Closed { stage }
        | ImapError::Timeout { stage, .. }
        | ImapError::Protocol { stage, .. }
        | ImapError::Refused { stage, .. }
        | ImapError::TooMuch { stage } => *stage == Stage::List,
        ImapError::Withheld { .. }
        | ImapError::Unreachable { .. }
        | ImapError::Forbidden
        | ImapError::Tls { .. }
        | ImapError::Insecure { .. }
        | ImapError::Busy { .. }
        | ImapError::LoginRefused { .. }
        | ImapError::Unsendable => false,
    }
}
