//! Where each secret of a Google account is kept, which is what its sealing is bound to.

use secrecy::SecretString;

use crate::{
    database::StoreError,
    ids::AccountId,
    seal::{KeyRing, Place, SealError},
};

/// Which secret of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSecret {
    Refresh,
    Access,
}

impl TokenSecret {
    fn place(self, row: &str) -> Place<'_> {
        let column = match self {
            Self::Refresh => "refresh_token",
            Self::Access => "access_token",
        };
        Place { table: "google_grants", column, row }
    }

    pub(super) fn seal(self, keys: &KeyRing, account: AccountId, token: &SecretString) -> Result<String, StoreError> {
        Ok(keys.seal(self.place(&account.to_string()), token)?)
    }

    pub(super) fn open(self, keys: &KeyRing, account: AccountId, sealed: &str) -> Result<SecretString, SealError> {
        keys.open(self.place(&account.to_string()), sealed)
    }
}
