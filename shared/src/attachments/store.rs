use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict};

use super::{
    Attachment,
    row::{Column, Entity},
};
use crate::{
    clock::Clock,
    database::{Database, StoreError},
    ids::{AttachmentId, MailId, TenantId},
    mail,
};

/// The table of attachments.
#[derive(Clone)]
pub struct Attachments {
    database: Database,
    clock: Clock,
}

impl Attachments {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Records what became of an attachment. The first record of an id stays: a repeat changes nothing. Its content must be
    /// in the object store already.
    pub async fn record(&self, attachment: Attachment) -> Result<(), StoreError> {
        let row = Attachment {
            name: clean(&attachment.name),
            text: clean(&attachment.text),
            reason: attachment.reason.as_deref().map(clean),
            created_at: self.clock.now(),
            ..attachment
        };
        let tx = self.database.write().await?;
        mail::find(tx.connection(), row.tenant_id, row.mail_id).await?;
        // The place in the mail is unique as well: a repeat at the same moment may meet either index first.
        Entity::insert(row.into_active_model())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
        tx.commit().await
    }

    /// A mail's attachments in their order, at most 200.
    pub async fn of_mail(&self, tenant: TenantId, mail: MailId) -> Result<Vec<Attachment>, StoreError> {
        let select = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::MailId.eq(mail));
        let order = select.order_by_asc(Column::Position);
        Ok(order.limit(crate::database::MAX_PAGE).all(self.database.reader()).await?)
    }

    pub async fn get(&self, tenant: TenantId, id: AttachmentId) -> Result<Attachment, StoreError> {
        let found = Entity::find_by_id(id).filter(Column::TenantId.eq(tenant)).one(self.database.reader()).await?;
        found.ok_or(StoreError::NotFound { what: "attachment" })
    }
}

/// PostgreSQL refuses the character NUL in texts.
fn clean(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').collect()
}
