use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, Json,
    PrimaryKeyTrait,
};

use super::QuoteState;
use crate::{
    database::Exact,
    ids::{AccountId, MailId, QuoteId, TenantId, ThreadId},
};

/// A quote, without its lines.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "quotes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: QuoteId,
    pub tenant_id: TenantId,
    pub account_id: AccountId,
    pub mail_id: MailId,
    pub thread_id: ThreadId,
    /// Given when it is rendered; without gaps within a tenant.
    pub number: Option<String>,
    pub revision: i32,
    /// How many of its revisions got a PDF, this one included.
    pub issue: i32,
    pub state: QuoteState,
    pub reason: Option<String>,
    /// ISO 639-1.
    pub language: String,
    pub currency: String,
    pub subtotal: Option<Exact>,
    pub tax: Option<Exact>,
    pub total: Option<Exact>,
    /// A fraction.
    pub tax_rate: Option<Exact>,
    /// The last day it holds.
    pub valid_until: Option<NaiveDate>,
    /// When the customer needs the goods.
    pub deadline: Option<NaiveDate>,
    pub customer_name: Option<String>,
    pub customer_address: String,
    /// Name of the PDF in the object store.
    pub pdf_key: Option<String>,
    /// The language model's answer, as it came.
    pub extraction: Json,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The number as customers see it: `Q-00042`, and for later issues `Q-00042-R2`.
    pub fn shown_number(&self) -> Option<String> {
        let number = self.number.as_ref()?;
        Some(if self.issue > 1 { format!("{number}-R{}", self.issue) } else { number.clone() })
    }

    /// Counts from 1; raised by every approval and every revision.
    pub fn revision(&self) -> u32 {
        u32::try_from(self.revision).unwrap_or_default()
    }
}
