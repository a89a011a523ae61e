//! The order in which mails of one thread came.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::{Column, Entity, InboundMail, Intent, MailState};
use crate::{
    accounts::identity_of,
    database::StoreError,
    ids::{QuoteId, TenantId, ThreadId},
};

/// Mails of a thread that are looked at to find one of a sender.
const LOOK: u64 = 50;

/// Recorded before this mail: earlier, or in the same instant with a lower number.
fn before(mail: &InboundMail) -> Condition {
    let same = Condition::all().add(Column::CreatedAt.eq(mail.created_at)).add(Column::Uid.lt(mail.uid));
    Condition::any().add(Column::CreatedAt.lt(mail.created_at)).add(same)
}

pub(super) async fn is_preceded(connection: &impl ConnectionTrait, mail: &InboundMail) -> Result<bool, StoreError> {
    let unread = Entity::find()
        .filter(Column::ThreadId.eq(mail.thread_id))
        .filter(Column::TenantId.eq(mail.tenant_id))
        .filter(Column::State.eq(MailState::Received))
        .filter(before(mail));
    Ok(unread.limit(1).count(connection).await? > 0)
}

/// Whether a mail that came, or was written, after this one has changed or decided the quote already.
pub(crate) async fn is_overtaken(
    connection: &impl ConnectionTrait,
    mail: &InboundMail,
    quote: QuoteId,
) -> Result<bool, StoreError> {
    let mut later = Condition::any().add(Column::CreatedAt.gt(mail.created_at));
    if let Some(written) = mail.sent_at {
        later = later.add(Column::SentAt.gt(written));
    }
    let acted = Entity::find()
        .filter(Column::ThreadId.eq(mail.thread_id))
        .filter(Column::TenantId.eq(mail.tenant_id))
        .filter(Column::State.eq(MailState::Extracted))
        .filter(Column::QuoteId.eq(quote))
        .filter(Column::Id.ne(mail.id))
        .filter(later);
    Ok(acted.limit(1).count(connection).await? > 0)
}

pub(super) async fn earlier_of_sender(
    connection: &impl ConnectionTrait,
    mail: &InboundMail,
    since: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<InboundMail>, StoreError> {
    let select = Entity::find()
        .filter(Column::TenantId.eq(mail.tenant_id))
        .filter(Column::FromAddress.eq(&mail.from_address))
        .filter(Column::ThreadId.ne(mail.thread_id))
        .filter(Column::CreatedAt.between(since, mail.created_at));
    let order = select.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
    Ok(order.limit(limit).all(connection).await?)
}

pub(super) async fn newest_from(
    connection: &impl ConnectionTrait,
    (tenant, thread): (TenantId, ThreadId),
    address: &str,
) -> Result<Option<InboundMail>, StoreError> {
    let sender = identity_of(address);
    // An out-of-office note is nothing to answer.
    let wanted_something = Condition::any().add(Column::Intent.is_null()).add(Column::Intent.ne(Intent::NotARequest));
    let select = Entity::find()
        .filter(Column::ThreadId.eq(thread))
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::RfcMessageId.is_not_null())
        .filter(wanted_something)
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Uid);
    let newest = select.limit(LOOK).all(connection).await?;
    Ok(newest.into_iter().find(|mail| identity_of(&mail.from_address) == sender))
}
