//! The steps of a quote, each inside the caller's transaction.

use chrono::{DateTime, Utc};
use postrider_queue::NewJob;
use rust_decimal::Decimal;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    Select, sea_query::OnConflict,
};

use super::{
    ActiveModel, By, Column, CreatedQuote, Entity, NewLine, NewQuote, PricedQuote, Quote, QuoteState, RenderedQuote,
    Repeat, Step, event, line, repeat,
};
use crate::{
    database::{Exact, StoreError, Transaction, check},
    ids::{MessageId, OutboxId, QuoteId, TenantId},
    mail::{self, MailState, Settlement},
    messages, outbox, tenants,
};

/// A quote that a person approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    pub quote: Quote,
    /// The job that prices it, on its way.
    pub outbox: OutboxId,
}

type At = (TenantId, QuoteId, u32);

pub(super) async fn create(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant: TenantId,
    mut new: NewQuote,
) -> Result<CreatedQuote, StoreError> {
    let mail = mail::find(tx.connection(), tenant, new.mail_id).await?;
    let id = new.id();
    let repeat = match &new.fingerprint {
        Some(fingerprint) => repeat::claim(tx, fingerprint, &mail).await?,
        None => None,
    };
    match repeat {
        Some(Repeat::Of(original, quote)) => {
            if !repeat::settle(tx, now, (tenant, mail.id), (original, quote), new.reading).await? {
                return Err(settled_before());
            }
            return Ok(CreatedQuote::Repeats(find(tx.connection(), tenant, quote).await?));
        }
        Some(Repeat::Doubtful(doubt)) => {
            new.review = match new.review {
                Some(reason) if reason.contains(&doubt) => Some(reason),
                Some(reason) => Some(format!("{doubt}; {reason}")),
                None => Some(doubt),
            };
        }
        None => {}
    }
    let lacks_product = new.lines.is_empty() || new.lines.iter().any(|line| line.product_id.is_none());
    if new.review.is_none() && lacks_product {
        return Err(StoreError::invalid("lines", "a quote that goes on by itself needs lines that name products"));
    }
    let quote = Quote {
        id,
        tenant_id: tenant,
        account_id: mail.account_id,
        mail_id: mail.id,
        thread_id: mail.thread_id,
        number: None,
        revision: 1,
        issue: 1,
        state: if new.review.is_some() { QuoteState::NeedsReview } else { QuoteState::Draft },
        reason: new.review,
        language: new.language,
        currency: new.currency,
        subtotal: None,
        tax: None,
        total: None,
        tax_rate: None,
        valid_until: None,
        deadline: new.deadline,
        customer_name: new.customer_name,
        customer_address: new.customer_address,
        pdf_key: None,
        extraction: new.extraction,
        created_at: now,
        updated_at: now,
    };
    // A copy of the same moment may be met at the mail's index first, which is as good as at the id's.
    let inserted = Entity::insert(quote.clone().into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    if inserted == 0 {
        return Ok(CreatedQuote::Exists(find(tx.connection(), tenant, id).await?));
    }
    event::append(tx, now, None, &quote, &By::SYSTEM).await?;
    line::replace(tx, tenant, id, new.lines).await?;
    let settlement = Settlement {
        state: MailState::Extracted,
        reading: new.reading,
        reason: quote.reason.clone(),
        quote: Some((quote.id, Some(quote.revision))),
        duplicate_of: None,
    };
    if !mail::settle(tx, now, (tenant, mail.id), settlement).await? {
        return Err(settled_before());
    }
    Ok(CreatedQuote::New(quote))
}

/// Another run came to something else with the mail, and whoever moves it on from `received` acts on it.
pub(super) fn settled_before() -> StoreError {
    StoreError::conflict("mail", "was settled by another run")
}

pub(super) async fn price(
    tx: &Transaction,
    now: DateTime<Utc>,
    at: At,
    priced: PricedQuote,
) -> Result<Step, StoreError> {
    let (tenant, id, _) = at;
    let totals = priced.totals;
    let changes = ActiveModel {
        state: Set(QuoteState::Priced),
        reason: Set(None),
        subtotal: Set(Some(Exact(totals.subtotal))),
        tax: Set(Some(Exact(totals.tax))),
        total: Set(Some(Exact(totals.total))),
        tax_rate: Set(Some(Exact(totals.tax_rate))),
        valid_until: Set(Some(priced.valid_until)),
        ..ActiveModel::default()
    };
    let step = take(tx, now, at, &[QuoteState::Draft], changes, &By::SYSTEM).await?;
    if !step.is_taken() {
        return Ok(step);
    }
    let lines = line::of_quote(tx.connection(), tenant, id).await?;
    if lines.len() != priced.lines.len() {
        return Err(StoreError::invalid("lines", "every line needs exactly one price"));
    }
    for price in priced.lines {
        let changes = line::ActiveModel {
            unit_price: Set(Some(Exact(price.unit_price))),
            total: Set(Some(Exact(price.total))),
            explanation: Set(Some(price.explanation)),
            ..line::ActiveModel::default()
        };
        let done = line::Entity::update_many()
            .set(changes)
            .filter(line::Column::QuoteId.eq(id))
            .filter(line::Column::Position.eq(price.position))
            .exec(tx.connection())
            .await?;
        if done.rows_affected != 1 {
            return Err(StoreError::invalid("lines", format!("there is no line {}", price.position)));
        }
    }
    Ok(step)
}

pub(super) async fn review(tx: &Transaction, now: DateTime<Utc>, at: At, reason: &str) -> Result<Step, StoreError> {
    let changes = ActiveModel {
        state: Set(QuoteState::NeedsReview),
        reason: Set(Some(reason.to_owned())),
        ..ActiveModel::default()
    };
    take(tx, now, at, &[QuoteState::Draft, QuoteState::Priced], changes, &By::SYSTEM).await
}

pub(super) async fn approve(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, QuoteId),
    lines: Option<Vec<NewLine>>,
    by: &By,
    job: &NewJob,
) -> Result<Approved, StoreError> {
    let quote = locked(tx, tenant, id).await?;
    if quote.state != QuoteState::NeedsReview {
        return Err(StoreError::conflict("quote", format!("is {}, so there is nothing to approve", quote.state)));
    }
    if let Some(lines) = lines {
        let is_complete = |line: &NewLine| line.product_id.is_some() && line.quantity > Decimal::ZERO;
        if lines.is_empty() || !lines.iter().all(is_complete) {
            return Err(StoreError::invalid("items", "each must name a product and a quantity above zero"));
        }
        line::replace(tx, tenant, id, lines).await?;
    } else {
        let lines = line::of_quote(tx.connection(), tenant, id).await?;
        if lines.is_empty() || lines.iter().any(|line| line.product_id.is_none()) {
            return Err(StoreError::invalid("items", "must be given: the mail's own are not complete"));
        }
    }
    let changes = ActiveModel {
        state: Set(QuoteState::Draft),
        reason: Set(None),
        revision: Set(quote.revision + 1),
        ..ActiveModel::default()
    };
    match take(tx, now, (tenant, id, quote.revision()), &[QuoteState::NeedsReview], changes, by).await? {
        Step::Taken(quote) => Ok(Approved { quote, outbox: outbox::append(tx, now, tenant, job).await? }),
        Step::NotTaken(quote) => Err(StoreError::conflict("quote", format!("is {} already", quote.state))),
    }
}

pub(super) async fn number(tx: &Transaction, (tenant, id): (TenantId, QuoteId)) -> Result<String, StoreError> {
    let quote = locked(tx, tenant, id).await?;
    if let Some(number) = quote.shown_number() {
        return Ok(number);
    }
    let number = tenants::take_quote_number(tx, tenant).await?;
    let changes = ActiveModel { number: Set(Some(number.clone())), ..ActiveModel::default() };
    let unnumbered = own(tenant, id).add(Column::Number.is_null());
    let taken = StoreError::taken("quote with this number");
    let done = Entity::update_many().set(changes).filter(unnumbered).exec(tx.connection()).await.map_err(taken)?;
    if done.rows_affected == 0 {
        return Err(StoreError::conflict("quote", "was numbered at the same moment"));
    }
    Ok(number)
}

pub(super) async fn render(
    tx: &Transaction,
    now: DateTime<Utc>,
    at: At,
    rendered: RenderedQuote,
) -> Result<Step, StoreError> {
    let (tenant, id, revision) = at;
    let automatic = !event::is_approved(tx.connection(), tenant, id, revision).await?;
    let changes = ActiveModel {
        state: Set(QuoteState::Rendered),
        pdf_key: Set(Some(rendered.pdf_key)),
        ..ActiveModel::default()
    };
    // Locks are taken in this order everywhere: the quote, the correspondent, the thread.
    let before = locked(tx, tenant, id).await?;
    if automatic
        && before.state == QuoteState::Priced
        && before.revision() == revision
        && let Some(reason) = messages::refused(tx, now, tenant, &rendered.message).await?
    {
        return review(tx, now, at, &reason).await;
    }
    let step = take(tx, now, at, &[QuoteState::Priced], changes, &By::SYSTEM).await?;
    if step.is_taken() {
        messages::plan(tx, now, tenant, rendered.message, automatic).await?;
    }
    Ok(step)
}

pub(super) async fn fail(tx: &Transaction, now: DateTime<Utc>, at: At, reason: &str) -> Result<Step, StoreError> {
    let changes =
        ActiveModel { state: Set(QuoteState::Failed), reason: Set(Some(reason.to_owned())), ..ActiveModel::default() };
    let from = [QuoteState::Draft, QuoteState::NeedsReview, QuoteState::Priced, QuoteState::Rendered];
    take(tx, now, at, &from, changes, &By::SYSTEM).await
}

/// Where a quote's reply is not known to be with the customer.
const AWAITING: &[QuoteState] = &[QuoteState::Rendered, QuoteState::Sending, QuoteState::Failed];

/// Whether the message is the reply that the quote still waits for, and not that of an earlier revision. The quote does not change
/// until the transaction ends.
pub(crate) async fn awaits(
    tx: &Transaction,
    (tenant, id, message): (TenantId, QuoteId, MessageId),
) -> Result<bool, StoreError> {
    let quote = locked(tx, tenant, id).await?;
    Ok(message == MessageId::of_quote(id, quote.revision()) && AWAITING.contains(&quote.state))
}

/// Follows what became of the message that carries the quote's revision; late news of an earlier revision say nothing about this
/// one. The ledger decides; a quote goes back only from `failed`, if its reply is sent after all.
pub(crate) async fn follow_message(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id, message): (TenantId, QuoteId, MessageId),
    to: QuoteState,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let from: &[QuoteState] = match to {
        QuoteState::Sent | QuoteState::Sending => AWAITING,
        QuoteState::Failed => &[QuoteState::Rendered, QuoteState::Sending],
        QuoteState::Draft
        | QuoteState::NeedsReview
        | QuoteState::Priced
        | QuoteState::Rendered
        | QuoteState::Accepted
        | QuoteState::Declined
        | QuoteState::Expired => &[],
    };
    let changes = ActiveModel { state: Set(to), reason: Set(reason.map(str::to_owned)), ..ActiveModel::default() };
    let quote = locked(tx, tenant, id).await?;
    if message == MessageId::of_quote(id, quote.revision()) {
        take(tx, now, (tenant, id, quote.revision()), from, changes, &By::SYSTEM).await?;
    }
    Ok(())
}

/// Changes the quote if it is where this step begins, and notes it.
pub(super) async fn take(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id, revision): At,
    from: &[QuoteState],
    changes: ActiveModel,
    by: &By,
) -> Result<Step, StoreError> {
    let before = locked(tx, tenant, id).await?;
    let revision: i32 = check::number("revision", revision, 1, u32::MAX)?;
    if before.revision != revision || !from.contains(&before.state) {
        return Ok(Step::NotTaken(before));
    }
    let changes = ActiveModel { updated_at: Set(now), ..changes };
    let expected = own(tenant, id).add(Column::Revision.eq(revision)).add(Column::State.eq(before.state));
    let done = Entity::update_many().set(changes).filter(expected).exec(tx.connection()).await?;
    let quote = find(tx.connection(), tenant, id).await?;
    if done.rows_affected == 0 {
        return Ok(Step::NotTaken(quote));
    }
    // A reply that is tried again is no news.
    if before.state != quote.state || before.revision != quote.revision {
        event::append(tx, now, Some(before.state), &quote, by).await?;
    }
    Ok(Step::Taken(quote))
}

/// The quote's row.
pub(super) fn row(tenant: TenantId, id: QuoteId) -> Select<Entity> {
    Entity::find().filter(own(tenant, id))
}

pub(super) async fn locked(tx: &Transaction, tenant: TenantId, id: QuoteId) -> Result<Quote, StoreError> {
    let found = Entity::find().filter(own(tenant, id)).lock_exclusive().one(tx.connection()).await?;
    found.ok_or(StoreError::NotFound { what: "quote" })
}

fn own(tenant: TenantId, id: QuoteId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant))
}

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    id: QuoteId,
) -> Result<Quote, StoreError> {
    Entity::find().filter(own(tenant, id)).one(connection).await?.ok_or(StoreError::NotFound { what: "quote" })
}
