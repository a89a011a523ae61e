//! Keys that open the API. A key's text is shown once; only a hash of it is kept.
//!
//! A text is `pr_<prefix>_<secret>`: the prefix finds the row, the secret is 256 random bits, so one round of SHA-256 is enough and
//! costs nothing per request. Hashes are compared in constant time. A key that is rotated has two texts for a while, so that those
//! who use it can change over one by one.

mod changes;
mod owner;
mod row;
mod store;
mod text;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

pub use changes::{KeyChange, MAX_OVERLAP};
pub use owner::KeyOwner;
pub use row::Model as ApiKey;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use store::ApiKeys;

use crate::roles::{Permission, Role};

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What it may do at most.
    pub role: Role,
    /// What it may do of that; everything, if absent.
    pub scopes: Option<Vec<Permission>>,
    /// From when on it opens nothing.
    pub expires_at: Option<DateTime<Utc>>,
}

impl NewKey {
    /// A key that may do all its role may, until it is revoked.
    pub fn named(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role, scopes: None, expires_at: None }
    }
}

/// A key that was just made or rotated, with the text that is never seen again.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    pub key: ApiKey,
    pub text: SecretString,
}
