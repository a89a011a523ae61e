//! The life of a quote after it was sent, each step inside the caller's transaction.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use postrider_queue::NewJob;
use rust_decimal::Decimal;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    ActiveModel, By, Column, Entity, NewLine, Quote, QuoteState, Step, issued, line,
    steps::{locked, take},
};
use crate::{
    database::{Database, StoreError, Transaction},
    ids::{MessageId, OutboxId, QuoteId, TenantId},
    outbox, tenants,
    words::words,
};

words! {
    /// What a customer says to a quote.
    "decision"
    enum Decision {
        Accept = "accept",
        Decline = "decline",
    }
}

impl Decision {
    /// The state it leads to.
    pub fn state(self) -> QuoteState {
        match self {
            Self::Accept => QuoteState::Accepted,
            Self::Decline => QuoteState::Declined,
        }
    }
}

/// What the next revision of a quote is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its lines; `None` keeps the ones it has, which are priced anew.
    pub lines: Option<Vec<NewLine>>,
    /// What a person must look at; the revision is then not priced by itself.
    pub review: Option<String>,
    pub by: By,
}

/// A quote under its next revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised {
    pub quote: Quote,
    /// The job that prices it, on its way; none if a person must look first.
    pub outbox: Option<OutboxId>,
}

/// Where a customer may decide: the ledger may not know yet that the mail arrived which the customer answers.
const OPEN: [QuoteState; 2] = [QuoteState::Sent, QuoteState::Sending];

/// The decision of a customer on a revision, or on the one that is there. What is past its last day expires instead.
pub(super) async fn decide(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, QuoteId),
    revision: Option<u32>,
    decision: Decision,
    by: &By,
) -> Result<Step, StoreError> {
    let quote = locked(tx, tenant, id).await?;
    if !OPEN.contains(&quote.state) || revision.is_some_and(|revision| revision != quote.revision()) {
        return Ok(Step::NotTaken(quote));
    }
    if is_over(tx, now, &quote).await? {
        let (Step::Taken(quote) | Step::NotTaken(quote)) = expire(tx, now, &quote).await?;
        return Ok(Step::NotTaken(quote));
    }
    let changes = ActiveModel { state: Set(decision.state()), reason: Set(None), ..ActiveModel::default() };
    take(tx, now, (tenant, id, quote.revision()), &OPEN, changes, by).await
}

async fn is_over(tx: &Transaction, now: DateTime<Utc>, quote: &Quote) -> Result<bool, StoreError> {
    let Some(last_day) = quote.valid_until else { return Ok(false) };
    let tenant = tenants::find(tx.connection(), quote.tenant_id).await?;
    Ok(tenant.time_zone.day_of(now) > last_day)
}

/// The last day of the revision that the message carries, if that is the quote's own and the day is over.
pub(crate) async fn lapsed(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id, message): (TenantId, QuoteId, MessageId),
) -> Result<Option<NaiveDate>, StoreError> {
    let quote = locked(tx, tenant, id).await?;
    let is_its_own = message == MessageId::of_quote(id, quote.revision());
    Ok(if is_its_own && is_over(tx, now, &quote).await? { quote.valid_until } else { None })
}

async fn expire(tx: &Transaction, now: DateTime<Utc>, quote: &Quote) -> Result<Step, StoreError> {
    let changes = ActiveModel { state: Set(QuoteState::Expired), ..ActiveModel::default() };
    take(tx, now, (quote.tenant_id, quote.id, quote.revision()), &OPEN, changes, &By::SYSTEM).await
}

/// Where a walk over quotes whose last day may be over goes on.
pub type ExpiryPlace = (NaiveDate, QuoteId);

/// What one step of that walk did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiryStep {
    pub expired: u64,
    /// Where the next step begins; `None` when the walk is at its end.
    pub next: Option<ExpiryPlace>,
}

/// Looks at no more than `limit` quotes, each in a transaction of its own. Taking the same step twice, or in two
/// processes, expires each once.
pub(super) async fn expire_due(
    database: &Database,
    now: DateTime<Utc>,
    after: Option<ExpiryPlace>,
    limit: u64,
) -> Result<ExpiryStep, StoreError> {
    // It is tomorrow already where tenants are furthest in the east; each tenant's own day decides.
    let latest = (now + TimeDelta::hours(14)).date_naive();
    let mut select = Entity::find().filter(Column::State.is_in(OPEN)).filter(Column::ValidUntil.lt(latest));
    if let Some((day, id)) = after {
        let same_day = Condition::all().add(Column::ValidUntil.eq(day)).add(Column::Id.gt(id));
        select = select.filter(Condition::any().add(Column::ValidUntil.gt(day)).add(same_day));
    }
    let order = select.order_by_asc(Column::ValidUntil).order_by_asc(Column::Id).limit(limit);
    let found = order.all(database.reader()).await?;
    let last = found.last().and_then(|quote| Some((quote.valid_until?, quote.id)));
    let mut expired = 0;
    for candidate in &found {
        let tx = database.write().await?;
        let quote = locked(&tx, candidate.tenant_id, candidate.id).await?;
        if OPEN.contains(&quote.state) && is_over(&tx, now, &quote).await? && expire(&tx, now, &quote).await?.is_taken()
        {
            expired += 1;
        }
        tx.commit().await?;
    }
    let is_full = u64::try_from(found.len()).unwrap_or(limit) >= limit;
    Ok(ExpiryStep { expired, next: last.filter(|_| is_full) })
}

pub(super) async fn revise(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, QuoteId),
    revision: Revision,
    from: &[QuoteState],
    job: &NewJob,
) -> Result<Revised, StoreError> {
    let quote = locked(tx, tenant, id).await?;
    if !from.contains(&quote.state) {
        return Err(StoreError::conflict("quote", format!("is {}: {}", quote.state, way_out(quote.state))));
    }
    let quote = next(tx, now, &quote, revision, ActiveModel::default()).await?;
    let goes_on = quote.state == QuoteState::Draft;
    let outbox = if goes_on { Some(outbox::append(tx, now, tenant, job).await?) } else { None };
    Ok(Revised { quote, outbox })
}

/// Puts the next revision in the place of the quote, whose row the caller holds; `more` is what else changes.
pub(super) async fn next(
    tx: &Transaction,
    now: DateTime<Utc>,
    quote: &Quote,
    revision: Revision,
    more: ActiveModel,
) -> Result<Quote, StoreError> {
    let (tenant, id) = (quote.tenant_id, quote.id);
    let old = line::of_quote(tx.connection(), tenant, id).await?;
    let is_issued = quote.pdf_key.is_some();
    if let Some(pdf_key) = quote.pdf_key.clone() {
        issued::keep(tx, now, quote, pdf_key, &old).await?;
    }
    let goes_on = revision.review.is_none();
    let is_complete = match &revision.lines {
        Some(lines) => !lines.is_empty() && lines.iter().all(|l| l.product_id.is_some() && l.quantity > Decimal::ZERO),
        None => !old.is_empty() && old.iter().all(|line| line.product_id.is_some()),
    };
    if goes_on && !is_complete {
        return Err(StoreError::invalid("items", "each must name a product and a quantity above zero"));
    }
    if let Some(lines) = revision.lines {
        line::replace(tx, tenant, id, lines).await?;
    } else {
        line::forget_prices(tx, id).await?;
    }
    let changes = ActiveModel {
        state: Set(if goes_on { QuoteState::Draft } else { QuoteState::NeedsReview }),
        reason: Set(revision.review),
        revision: Set(quote.revision + 1),
        issue: Set(if is_issued { quote.issue + 1 } else { quote.issue }),
        subtotal: Set(None),
        tax: Set(None),
        total: Set(None),
        tax_rate: Set(None),
        valid_until: Set(None),
        pdf_key: Set(None),
        ..more
    };
    match take(tx, now, (tenant, id, quote.revision()), &[quote.state], changes, &revision.by).await? {
        Step::Taken(quote) => Ok(quote),
        Step::NotTaken(quote) => Err(StoreError::conflict("quote", format!("is {} already", quote.state))),
    }
}

/// What somebody can do about a quote in this state who wanted something that it does not allow.
fn way_out(state: QuoteState) -> &'static str {
    match state {
        QuoteState::Draft | QuoteState::Priced => "wait until it is sent",
        QuoteState::NeedsReview => "approve it first",
        QuoteState::Rendered | QuoteState::Sending => "its reply is on its way; try again when it is sent",
        QuoteState::Sent => "it is with the customer; it can be accepted, declined, revised or renewed",
        QuoteState::Accepted => "it is agreed; a further request needs a quote of its own",
        QuoteState::Declined => "revise it to offer something else",
        QuoteState::Expired => "renew it to offer it again",
        QuoteState::Failed => "revise it to try again",
    }
}

/// States that a revision may follow. While a reply is on its way, nobody knows which of the two the customer would get.
pub(super) const REVISABLE: [QuoteState; 7] = [
    QuoteState::Draft,
    QuoteState::NeedsReview,
    QuoteState::Priced,
    QuoteState::Sent,
    QuoteState::Declined,
    QuoteState::Expired,
    QuoteState::Failed,
];
/// States whose quote can be offered again as it is.
pub(super) const RENEWABLE: [QuoteState; 3] = [QuoteState::Sent, QuoteState::Declined, QuoteState::Expired];

impl QuoteState {
    /// What can be done about it, for the answer to a refused step.
    pub fn way_out(self) -> &'static str {
        way_out(self)
    }
}
