//! The same request again under another Message-ID: a program that sent twice, a form submitted twice, a copy to another mailbox of the
//! same business. It is answered once.
//!
//! Who asks first in certain words takes a row; the row is taken in the transaction that makes the quote, so of two mails that are read
//! at the same moment one makes a quote and the other finds it.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, PrimaryKeyTrait,
    },
    sea_query::OnConflict,
};

use super::{QuoteState, steps};
use crate::{
    database::{StoreError, Transaction},
    ids::{MailId, QuoteId, TenantId},
    mail::{self, InboundMail, Intent, MailState, Reading, Settlement},
};

/// How long the same words are the same request. Whoever hears nothing sends again after hours, or after a weekend; whoever orders the
/// same every week means it.
const WINDOW: TimeDelta = TimeDelta::days(3);

/// The latest mail by which a tenant was asked in these very words.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "made_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub fingerprint: String,
    pub mail_id: MailId,
    pub received_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What a mail says again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat {
    /// What this mail asked, which this quote answers.
    Of(MailId, QuoteId),
    /// Something that was settled since, as this sentence says: a person must tell whether it is meant anew.
    Doubtful(String),
}

/// Takes the words for this mail, unless they are another one's.
pub(super) async fn claim(
    tx: &Transaction,
    fingerprint: &str,
    mail: &InboundMail,
) -> Result<Option<Repeat>, StoreError> {
    let row = Model {
        tenant_id: mail.tenant_id,
        fingerprint: fingerprint.to_owned(),
        mail_id: mail.id,
        received_at: mail.received_at,
    };
    let inserted = Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns([Column::TenantId, Column::Fingerprint]).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    if inserted == 1 {
        return Ok(None);
    }
    let found = Entity::find().filter(own(mail, fingerprint)).lock_exclusive().one(tx.connection()).await?;
    if let Some(repeat) = judge(tx.connection(), mail, found).await? {
        return Ok(Some(repeat));
    }
    let changes = ActiveModel { mail_id: Set(mail.id), received_at: Set(mail.received_at), ..ActiveModel::default() };
    Entity::update_many().set(changes).filter(own(mail, fingerprint)).exec(tx.connection()).await?;
    Ok(None)
}

/// What the mail repeats, as far as it is known by now.
pub(super) async fn known(
    connection: &impl ConnectionTrait,
    fingerprint: &str,
    mail: &InboundMail,
) -> Result<Option<Repeat>, StoreError> {
    let found = Entity::find().filter(own(mail, fingerprint)).one(connection).await?;
    judge(connection, mail, found).await
}

async fn judge(
    connection: &impl ConnectionTrait,
    mail: &InboundMail,
    found: Option<Model>,
) -> Result<Option<Repeat>, StoreError> {
    let near = |row: &Model| row.mail_id != mail.id && (mail.received_at - row.received_at).abs() <= WINDOW;
    match found.filter(near) {
        Some(row) => of(connection, mail.tenant_id, row.mail_id).await,
        None => Ok(None),
    }
}

/// What somebody repeats who says again what this mail said; `None` if it came to nothing.
pub(super) async fn of(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    original: MailId,
) -> Result<Option<Repeat>, StoreError> {
    let original = mail::find(connection, tenant, original).await?;
    let Some(quote) = original.quote_id.filter(|_| original.state == MailState::Extracted) else { return Ok(None) };
    let quote = steps::find(connection, tenant, quote).await?;
    let date = original.received_at.date_naive();
    let doubt = match quote.state {
        QuoteState::Failed => return Ok(None),
        QuoteState::Accepted | QuoteState::Declined | QuoteState::Expired => {
            Some(format!("the same was asked on {date}, and that quote is {}", quote.state))
        }
        QuoteState::Draft
        | QuoteState::NeedsReview
        | QuoteState::Priced
        | QuoteState::Rendered
        | QuoteState::Sending
        | QuoteState::Sent => {
            let undone = original.intent == Some(Intent::Amends) && original.quote_revision != Some(quote.revision);
            undone.then(|| format!("the same change was asked on {date}, and the quote has changed since"))
        }
    };
    Ok(Some(doubt.map_or(Repeat::Of(original.id, quote.id), Repeat::Doubtful)))
}

/// Notes that the mail repeats another one; false if it was settled before.
pub(super) async fn settle(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, mail): (TenantId, MailId),
    (original, quote): (MailId, QuoteId),
    reading: Reading,
) -> Result<bool, StoreError> {
    let settlement = Settlement {
        reading: Reading { intent: Some(Intent::Duplicate), ..reading },
        quote: Some((quote, None)),
        duplicate_of: Some(original),
        ..Settlement::because(MailState::Ignored, "the mail repeats a request that was made before")
    };
    mail::settle(tx, now, (tenant, mail), settlement).await
}

fn own(mail: &InboundMail, fingerprint: &str) -> Condition {
    Condition::all().add(Column::TenantId.eq(mail.tenant_id)).add(Column::Fingerprint.eq(fingerprint))
}
