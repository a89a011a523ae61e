use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{
    audit::{AuditKind, AuditOutcome, Said},
    database::{StoreError, Transaction},
    ids::{CodeId, UserId},
    one_time_codes::{CodePurpose, OneTimeCodes},
    requests,
    users::User,
};

/// What shows, besides a session, that it is the account's owner who asks.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The hash that the password was compared with; it must be the user's still.
    Password { hash: SecretString },
    /// A code that was mailed to the account's address for this.
    Code { id: CodeId, code: SecretString },
}

impl Proof {
    /// Whether it holds. A code is used up by that, and a guess counted.
    pub(super) async fn holds(
        &self,
        tx: &Transaction,
        codes: &OneTimeCodes,
        user: &User,
        purpose: CodePurpose,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Password { hash } => Ok(has_password(user, hash)),
            Self::Code { id, code } => {
                Ok(codes.redeem_own(tx, (user.id, *id), purpose, code.expose_secret()).await?.is_some())
            }
        }
    }
}

/// Whether this is the hash of the user's password still.
pub(super) fn has_password(user: &User, hash: &SecretString) -> bool {
    let own = user.password_hash.as_deref().unwrap_or_default();
    !own.is_empty() && bool::from(own.as_bytes().ct_eq(hash.expose_secret().as_bytes()))
}

/// Ends what a proof did not open, and keeps that it was tried: a guess counts, and the audit log tells of it.
pub(super) async fn refuse(tx: Transaction, user: UserId) -> Result<(), StoreError> {
    tx.say(Said::of(AuditKind::Change, AuditOutcome::Refused, user));
    // The request itself has changed nothing.
    requests::aside(tx.commit()).await
}
