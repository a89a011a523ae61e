//! Keys that open the API. A key's text is shown once; only a hash of it is kept.
//!
//! A text is `pr_<prefix>_<secret>`: the prefix finds the row, the secret is 256 random bits, so one round of SHA-256 is enough and
//! costs nothing per request. Hashes are compared in constant time.

mod row;
mod store;
mod text;

use secrecy::SecretString;

pub use row::Model as ApiKey;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use store::ApiKeys;

use crate::words::words;

words! {
    /// What a key may do. Each role may do everything the ones before it may.
    "role"
    enum Role {
        /// Reads.
        Viewer = "viewer",
        /// Works with mail, quotes and jobs.
        Agent = "agent",
        /// Changes the tenant's settings, accounts, products and keys.
        TenantAdmin = "tenant_admin",
        /// Runs the platform: all tenants, queues, drills.
        PlatformAdmin = "platform_admin",
    }
}

impl Role {
    /// Whether this role includes what `needed` may do.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}

/// A key that was just made, with the text that is never seen again.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    pub key: ApiKey,
    pub text: SecretString,
}
