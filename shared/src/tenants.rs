//! Businesses: who they are on a quote, and the counter of their quote numbers.

mod deletion;
mod life;
mod logo;
mod row;
mod store;

use rust_decimal::Decimal;

pub use deletion::{AskedDeletion, BeginDeletion, ERASED, KEPT};
pub(crate) use deletion::{ask_in, must_stay};
pub use life::Pauses;
pub use logo::{LogoError, MAX_LOGO_BYTES, check_logo};
pub use row::Model as Tenant;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use store::Tenants;
pub(crate) use store::{find, insert, take_quote_number};

use crate::{
    database::{StoreError, check},
    time_zone::TimeZone,
    words::words,
};

words! {
    /// Where a tenant is in its life.
    "tenant state"
    enum TenantState {
        /// It registered by itself and waits to be approved: as if suspended.
        Pending = "pending",
        Active = "active",
        /// Nothing is read or sent for it, its keys do not open, and its jobs wait in the queue.
        Suspended = "suspended",
        /// As if suspended; it is removed at a certain time, until which that can be taken back.
        Deleting = "deleting",
        /// It is being removed.
        Deleted = "deleted",
    }
}

/// What a new tenant, or a changed one, is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSettings {
    pub name: String,
    /// ISO 4217, such as `EUR`.
    pub currency: String,
    /// A fraction: 0.19 is 19 %.
    pub tax_rate: Decimal,
    /// Such as `VAT`.
    pub tax_label: String,
    pub time_zone: TimeZone,
    /// ISO 639-1, such as `en`; used where a mail's language is not known.
    pub language: String,
    /// `#rrggbb`.
    pub brand_color: String,
    /// Name of the logo in the object store.
    pub logo_key: Option<String>,
    /// The sender's address block on the PDF.
    pub sender_details: String,
    /// What quote numbers start with, such as `Q-`.
    pub quote_prefix: String,
    /// How many days a quote holds.
    pub quote_validity_days: u32,
}

impl TenantSettings {
    /// The usual settings under a name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            currency: "EUR".to_owned(),
            tax_rate: Decimal::ZERO,
            tax_label: "VAT".to_owned(),
            time_zone: TimeZone::UTC,
            language: "en".to_owned(),
            brand_color: "#1f4e79".to_owned(),
            logo_key: None,
            sender_details: String::new(),
            quote_prefix: "Q-".to_owned(),
            quote_validity_days: 30,
        }
    }

    fn checked(self) -> Result<Self, StoreError> {
        let currency = self.currency.parse::<crate::pricing::Currency>();
        if let Err(error) = currency {
            return Err(StoreError::invalid("currency", error.to_string()));
        }
        if self.tax_rate < Decimal::ZERO || self.tax_rate > Decimal::ONE {
            return Err(StoreError::invalid("tax_rate", "must be a fraction from 0 to 1: 0.19 is 19 %"));
        }
        let is_language = self.language.len() == 2 && self.language.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_language {
            return Err(StoreError::invalid("language", "must be an ISO 639-1 code such as en"));
        }
        let digits = self.brand_color.strip_prefix('#').unwrap_or_default();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(StoreError::invalid("brand_color", "must look like #1f4e79"));
        }
        if self.quote_prefix.chars().count() > 20 || self.quote_prefix.chars().any(char::is_control) {
            return Err(StoreError::invalid("quote_prefix", "must not be longer than 20 characters"));
        }
        check::number("quote_validity_days", self.quote_validity_days, 1, 3_650)?;
        Ok(Self {
            name: check::line("name", &self.name, 200)?,
            tax_label: check::line("tax_label", &self.tax_label, 40)?,
            sender_details: check::lines("sender_details", &self.sender_details, 2_000)?,
            ..self
        })
    }
}
