//! What mails of a quote's conversation do to it, each inside the caller's transaction.
//!
//! The transaction moves the mail on from `received`, which happens once; so a mail acts once, whatever is repeated.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;

use super::{
    ActiveModel, Actor, By, Column, Decision, Entity, NewLine, Quote, Repeat, Revision, Step, event, life, repeat,
    steps::{locked, settled_before},
};
use crate::{
    database::{StoreError, Transaction},
    ids::{MailId, MessageId, QuoteId, TenantId, ThreadId},
    mail::{self, InboundMail, MailState, Reading, Settled, Settlement},
    messages,
};

/// Quotes of one thread, and revisions of one quote, that are looked at.
const LOOK: u32 = 20;

/// What a mail wants of a quote from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct Amendment {
    pub quote_id: QuoteId,
    /// The revision that was read with the mail.
    pub revision: u32,
    pub mail_id: MailId,
    /// All lines as they should be; `None` leaves them to a person.
    pub lines: Option<Vec<NewLine>>,
    /// What a person must look at; the revision is then not priced by itself.
    pub review: Option<String>,
    /// When the goods are needed, if the mail says so.
    pub deadline: Option<NaiveDate>,
    /// The language model's answer, as it came.
    pub extraction: Value,
    /// What the change is known by if it is asked for again.
    pub fingerprint: Option<String>,
    /// Noted with the mail.
    pub reading: Reading,
}

/// What became of a mail's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amended {
    /// The quote is as the mail wants it, by this call or an earlier one.
    Done(Quote),
    /// The quote changed since it was read: read it again.
    Stale(Quote),
    /// A mail that came or was written later changed it already: this one must not undo that.
    Overtaken(Quote),
    /// Where the quote is, it cannot be.
    Refused(Quote),
    /// Another mail said the same before, and the quote is as it wanted it.
    Repeats(Quote),
    /// Another mail said the same before, and the quote has changed since.
    Doubtful(String),
}

pub(super) async fn amend(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant: TenantId,
    amendment: Amendment,
) -> Result<Amended, StoreError> {
    // Whoever holds the quote's row decides alone what comes next.
    let quote = locked(tx, tenant, amendment.quote_id).await?;
    let mail = mail::find(tx.connection(), tenant, amendment.mail_id).await?;
    if mail.state != MailState::Received {
        return done_before(quote, &mail);
    }
    if mail::is_overtaken(tx.connection(), &mail, quote.id).await? {
        return Ok(Amended::Overtaken(quote));
    }
    if quote.revision() != amendment.revision {
        return Ok(Amended::Stale(quote));
    }
    if !life::REVISABLE.contains(&quote.state) {
        return Ok(Amended::Refused(quote));
    }
    let repeat = match &amendment.fingerprint {
        Some(fingerprint) => repeat::claim(tx, fingerprint, &mail).await?,
        None => None,
    };
    match repeat {
        Some(Repeat::Of(original, answer)) => {
            if !repeat::settle(tx, now, (tenant, mail.id), (original, answer), amendment.reading).await? {
                return Err(settled_before());
            }
            return Ok(Amended::Repeats(quote));
        }
        Some(Repeat::Doubtful(doubt)) => return Ok(Amended::Doubtful(doubt)),
        None => {}
    }
    let mut more = ActiveModel { extraction: Set(amendment.extraction), ..ActiveModel::default() };
    if let Some(deadline) = amendment.deadline {
        more.deadline = Set(Some(deadline));
    }
    let by = By::customer(format!("reply {}", mail.id));
    let revision = Revision { lines: amendment.lines, review: amendment.review, by };
    let quote = life::next(tx, now, &quote, revision, more).await?;
    let settlement = Settlement {
        state: MailState::Extracted,
        reading: amendment.reading,
        reason: quote.reason.clone(),
        quote: Some((quote.id, Some(quote.revision))),
        duplicate_of: None,
    };
    if !mail::settle(tx, now, (tenant, mail.id), settlement).await? {
        return Err(settled_before());
    }
    Ok(Amended::Done(quote))
}

/// What a mail that was settled before did to this quote.
fn done_before(quote: Quote, mail: &InboundMail) -> Result<Amended, StoreError> {
    if mail.state == MailState::Extracted && mail.quote_id == Some(quote.id) {
        return Ok(Amended::Done(quote));
    }
    Err(settled_before())
}

/// A customer's word on the revision that their mail answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub quote_id: QuoteId,
    pub revision: u32,
    pub mail_id: MailId,
    pub decision: Decision,
    /// Noted with the mail.
    pub reading: Reading,
}

pub(super) async fn answer(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant: TenantId,
    answered: Answered,
) -> Result<Amended, StoreError> {
    let quote = locked(tx, tenant, answered.quote_id).await?;
    let mail = mail::find(tx.connection(), tenant, answered.mail_id).await?;
    if mail.state != MailState::Received {
        return done_before(quote, &mail);
    }
    if mail::is_overtaken(tx.connection(), &mail, quote.id).await? {
        return Ok(Amended::Overtaken(quote));
    }
    let by = By::customer(format!("reply {}", mail.id));
    let (id, wanted) = (quote.id, answered.decision.state());
    let quote = match life::decide(tx, now, (tenant, id), Some(answered.revision), answered.decision, &by).await? {
        Step::Taken(quote) => quote,
        // By the link in the mail, or twice.
        Step::NotTaken(quote) if quote.state == wanted && quote.revision() == answered.revision => quote,
        Step::NotTaken(quote) => return Ok(Amended::Refused(quote)),
    };
    let settlement = Settlement {
        state: MailState::Extracted,
        reading: answered.reading,
        reason: None,
        quote: Some((quote.id, Some(quote.revision))),
        duplicate_of: None,
    };
    if !mail::settle(tx, now, (tenant, mail.id), settlement).await? {
        return Err(settled_before());
    }
    Ok(Amended::Done(quote))
}

pub(super) async fn refer(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, mail): (TenantId, MailId),
    quote: Option<QuoteId>,
    reading: Reading,
    reason: &str,
) -> Result<Settled<InboundMail>, StoreError> {
    let quote = match quote {
        Some(id) => Some(locked(tx, tenant, id).await?),
        None => None,
    };
    let settlement = Settlement {
        reading,
        quote: quote.as_ref().map(|quote| (quote.id, None)),
        ..Settlement::because(MailState::NeedsReview, reason)
    };
    let settled = mail::settle(tx, now, (tenant, mail), settlement).await?;
    if let Some(quote) = quote.filter(|_| settled) {
        let noted = Quote { reason: Some(reason.to_owned()), ..quote };
        let by = By { actor: Actor::System, via: Some(format!("mail {mail}")) };
        event::append(tx, now, Some(noted.state), &noted, &by).await?;
    }
    let mail = mail::find(tx.connection(), tenant, mail).await?;
    Ok(if settled { Settled::Now(mail) } else { Settled::Before(mail) })
}

pub(super) async fn of_thread(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    thread: ThreadId,
) -> Result<Vec<Quote>, StoreError> {
    let select = Entity::find().filter(Column::ThreadId.eq(thread)).filter(Column::TenantId.eq(tenant));
    let order = select.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
    Ok(order.limit(u64::from(LOOK)).all(connection).await?)
}

pub(super) async fn carriers(
    connection: &impl ConnectionTrait,
    quote: &Quote,
) -> Result<Vec<(u32, Vec<String>)>, StoreError> {
    let newest = quote.revision();
    let ids: Vec<(u32, MessageId)> = (newest.saturating_sub(LOOK) + 1..=newest)
        .rev()
        .map(|revision| (revision, MessageId::of_quote(quote.id, revision)))
        .collect();
    let found = messages::find_all(connection, quote.tenant_id, ids.iter().map(|(_, id)| *id)).await?;
    let carried = |(revision, id): (u32, MessageId)| {
        let message = found.iter().find(|message| message.id == id)?;
        Some((revision, std::iter::once(&message.rfc_message_id).chain(&message.sent_message_id).cloned().collect()))
    };
    Ok(ids.into_iter().filter_map(carried).collect())
}
