use chrono::{DateTime, Utc};
use postrider_queue::NewJob;
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict};

use super::{Column, Entity, Epoch, InboundMail, MailState, NewMail, cursor, dedupe::id_key, thread};
use crate::{
    accounts,
    database::{StoreError, Texts, Transaction},
    ids::{OutboxId, TenantId, ThreadId},
    outbox,
};

/// What became of a mail to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// It is new; its jobs are in the outbox.
    New { mail: Box<InboundMail>, outbox: Vec<OutboxId> },
    /// It was recorded before; nothing changed but the place in the folder.
    Known(Box<InboundMail>),
}

impl Recorded {
    /// The record.
    pub fn mail(&self) -> &InboundMail {
        match self {
            Self::New { mail, .. } | Self::Known(mail) => mail,
        }
    }
}

/// Records a mail, its thread, its jobs and the place in its folder, all or nothing.
pub(super) async fn record(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant: TenantId,
    mail: NewMail,
    jobs: &[NewJob],
) -> Result<Recorded, StoreError> {
    let mail = mail.bounded();
    accounts::find(tx.connection(), tenant, mail.account_id).await?;
    let epoch = Epoch { uid_validity: mail.uid_validity, epoch: mail.epoch };
    cursor::advance(tx.connection(), mail.account_id, &mail.folder, epoch, mail.uid, None).await?;
    let keys = [Some(mail.dedupe_key.clone()), id_key(mail.rfc_message_id.as_deref())];
    let same = Condition::all()
        .add(Column::AccountId.eq(mail.account_id))
        .add(Column::DedupeKey.is_in(keys.into_iter().flatten()));
    if let Some(known) = Entity::find().filter(same.clone()).one(tx.connection()).await? {
        return Ok(Recorded::Known(Box::new(known)));
    }
    let related = mail.related();
    let found = thread::find(tx, mail.account_id, &related).await?;
    let row = row(tenant, now, mail, found.unwrap_or_else(ThreadId::random));
    if found.is_none() {
        let thread = thread::Model {
            id: row.thread_id,
            tenant_id: tenant,
            account_id: row.account_id,
            subject: row.subject.clone(),
            created_at: now,
        };
        thread::create(tx, thread).await?;
    }
    // The id follows from the key, so one of the same moment stands in the way of both: no index is named.
    let inserted = Entity::insert(row.clone().into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    if inserted == 0 {
        // Another process recorded it between our look and our insert.
        return Err(StoreError::conflict("mail", "was recorded at the same moment"));
    }
    let own = (tenant, row.account_id, row.thread_id);
    let ids: Vec<String> = row.rfc_message_id.iter().cloned().chain(related).collect();
    thread::join(tx, own, &ids).await?;
    let mut entries = Vec::with_capacity(jobs.len());
    for job in jobs {
        entries.push(outbox::append(tx, now, tenant, job).await?);
    }
    Ok(Recorded::New { mail: Box::new(row), outbox: entries })
}

fn row(tenant: TenantId, now: DateTime<Utc>, mail: NewMail, thread: ThreadId) -> InboundMail {
    InboundMail {
        id: mail.id(),
        tenant_id: tenant,
        account_id: mail.account_id,
        thread_id: thread,
        dedupe_key: mail.dedupe_key,
        rfc_message_id: mail.rfc_message_id,
        provider_id: mail.provider_id,
        in_reply_to: mail.in_reply_to,
        references: Texts(mail.references),
        from_address: mail.from_address,
        from_name: mail.from_name,
        subject: mail.subject,
        sent_at: mail.sent_at,
        received_at: mail.received_at,
        raw_key: mail.raw_key,
        size: i64::try_from(mail.size).unwrap_or(i64::MAX),
        text: mail.text,
        folder: mail.folder,
        uid_validity: i64::from(mail.uid_validity),
        uid: i64::from(mail.uid),
        state: if mail.failure.is_some() { MailState::Failed } else { MailState::Received },
        intent: None,
        language: None,
        confidence: None,
        reason: mail.failure,
        quote_id: None,
        quote_revision: None,
        duplicate_of: None,
        created_at: now,
        updated_at: now,
    }
}
