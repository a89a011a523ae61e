use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::AttachmentState;
use crate::{
    database::Texts,
    ids::{AttachmentId, MailId, TenantId},
};

/// An attachment of a mail, as it was dealt with. Written once, when that is over.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attachments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AttachmentId,
    pub tenant_id: TenantId,
    pub mail_id: MailId,
    /// Its place in the mail; counts from 1.
    pub position: i32,
    /// As its sender calls it, without folders and control characters.
    pub name: String,
    /// What it was found to be, such as `xlsx`; none if that is none of the kinds that are read.
    pub kind: Option<String>,
    /// By its content, never by what the sender says.
    pub media_type: String,
    pub size: i64,
    /// Of its content, in hexadecimal digits.
    pub sha256: String,
    /// Name in the object store; none if it is not kept on its own.
    pub object_key: Option<String>,
    pub state: AttachmentState,
    /// Why it was not read.
    pub reason: Option<String>,
    /// What was read in it; tables have a line per row.
    pub text: String,
    /// What of it was not read, if something was.
    pub left_out: Texts,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
