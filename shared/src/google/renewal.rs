//! One renewal of an access token, from the right to ask Google to its end.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    accounts::Account,
    ids::{AccountId, TenantId},
};

/// The right to renew one account's access token; nobody else has it until it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    pub tenant: TenantId,
    pub account: AccountId,
    /// The version of the tokens it renews.
    pub(super) version: i64,
    pub(super) holder: Uuid,
    /// Failures in a row before this one.
    pub failures: u32,
}

/// What Google gave.
#[derive(Debug, Clone)]
pub struct Granted {
    pub access: SecretString,
    pub expires_at: DateTime<Utc>,
    /// A new refresh token, which replaces the old one. Google sends one with a consent, and sometimes with a renewal.
    pub refresh: Option<SecretString>,
}

/// How a renewal ended in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// These are the tokens now, under this version.
    Stored { version: i64 },
    /// Somebody consented or disconnected meanwhile: what was given is not used.
    Overtaken,
}

/// What became of an account whose grant is gone; `None` if it was disconnected or granted anew meanwhile.
pub type Paused = Option<Account>;
