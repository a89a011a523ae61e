use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::{TenantSettings, TenantState};
use crate::{database::Exact, ids::TenantId, time_zone::TimeZone};

/// A business.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TenantId,
    pub name: String,
    pub currency: String,
    pub tax_rate: Exact,
    pub tax_label: String,
    pub time_zone: TimeZone,
    pub language: String,
    pub brand_color: String,
    /// Name of the logo in the object store.
    pub logo_key: Option<String>,
    pub sender_details: String,
    pub quote_prefix: String,
    pub quote_next_number: i64,
    pub quote_validity_days: i32,
    pub state: TenantState,
    /// When it is removed, if that was asked for.
    pub delete_after: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The settings a person may change.
    pub fn settings(&self) -> TenantSettings {
        TenantSettings {
            name: self.name.clone(),
            currency: self.currency.clone(),
            tax_rate: self.tax_rate.0,
            tax_label: self.tax_label.clone(),
            time_zone: self.time_zone,
            language: self.language.clone(),
            brand_color: self.brand_color.clone(),
            logo_key: self.logo_key.clone(),
            sender_details: self.sender_details.clone(),
            quote_prefix: self.quote_prefix.clone(),
            quote_validity_days: u32::try_from(self.quote_validity_days).unwrap_or_default(),
        }
    }

    /// Whether mail is read and sent for it.
    pub fn is_active(&self) -> bool {
        self.state == TenantState::Active
    }
}
