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

/// A key that was just made, with the text that is never seen again.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    pub key: ApiKey,
    pub text: SecretString,
}
