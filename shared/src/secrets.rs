//! All sealed texts of the database together: with which key each is sealed, and sealing them with another.
//!
//! How a key is replaced while everything runs. Processes that know the new key and processes that do not yet run side by side for
//! a while, so a key must be able to open everywhere before it seals anywhere:
//! 1. the new key is put **last** in `SECRET_KEYS` of every process, and all are restarted;
//! 2. it is put **first** everywhere, and all are restarted: from now on it seals;
//! 3. the job [`RotateSecrets`](crate::jobs::RotateSecrets) seals everything else with it again;
//! 4. the old key is removed, when no text is sealed with it any more and nobody needs the links that it signed.

mod count;
mod rotation;

use sea_orm::DbBackend;

use crate::{
    database::{Database, StoreError},
    seal::{KeyRing, SealError},
};

pub use count::SealedCount;
pub use rotation::{Place, RotationStep, STEP};

/// The sealed texts of all tenants.
#[derive(Clone)]
pub struct Secrets {
    database: Database,
    keys: Option<KeyRing>,
}

impl Secrets {
    pub fn new(database: Database, keys: Option<KeyRing>) -> Self {
        Self { database, keys }
    }

    /// The ring of this process.
    pub fn keys(&self) -> Result<&KeyRing, StoreError> {
        self.keys.as_ref().ok_or(StoreError::Seal(SealError::NoKeys))
    }

    fn backend(&self) -> DbBackend {
        sea_orm::ConnectionTrait::get_database_backend(self.database.reader())
    }
}
