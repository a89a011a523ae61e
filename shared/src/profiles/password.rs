//! Another password, and what ends with the old one: all of it is done, or nothing.

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::{Profiles, proof};
use crate::{
    audit,
    database::{StoreError, Transaction},
    identities,
    ids::{CodeId, SessionId, UserId},
    notices::{self, NoticeKind},
    one_time_codes::CodePurpose,
    sessions::{self, EndedBy},
    users::{self, User},
};

impl Profiles {
    /// Gives whoever's code this is the password behind a new hash. All their sessions end, and identities with a weaker proof of the
    /// address than a mail's go. `None` for a code that is not taken.
    pub async fn reset_password(&self, id: CodeId, code: &str, hash: String) -> Result<Option<UserId>, StoreError> {
        let now = self.clock.now();
        let tx = self.database.write().await?;
        let Some(user) = self.codes.owner(&tx, id).await? else { return Ok(None) };
        let Some(before) = users::lock(&tx, user).await? else { return Ok(None) };
        if self.codes.redeem_own(&tx, (user, id), CodePurpose::ResetPassword, code).await?.is_none() {
            // A wrong guess is counted, too.
            tx.commit().await?;
            return Ok(None);
        }
        audit::turns_out_to_be(user, None);
        replace(&tx, now, &before, hash).await?;
        identities::forget_doubtful(&tx, now, &before).await?;
        sessions::end_all(&tx, now, (user, None), EndedBy::PasswordChanged).await?;
        tx.commit().await?;
        Ok(Some(user))
    }

    /// Gives a person who knows the password another one; `current` is the hash that it was compared with. All other sessions end.
    /// False if the person has another password by now.
    pub async fn change_password(
        &self,
        (user, session): (UserId, SessionId),
        current: &SecretString,
        hash: String,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let tx = self.database.write().await?;
        let before = users::lock(&tx, user).await?.ok_or(StoreError::NotFound { what: "user" })?;
        if !proof::has_password(&before, current) {
            proof::refuse(tx, user).await?;
            return Ok(false);
        }
        replace(&tx, now, &before, hash).await?;
        sessions::end_all(&tx, now, (user, Some(session)), EndedBy::PasswordChanged).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Word of it goes to the person.
async fn replace(tx: &Transaction, now: DateTime<Utc>, user: &User, hash: String) -> Result<(), StoreError> {
    users::set_password(tx, now, user.id, hash).await?;
    notices::tell(tx, now, user, NoticeKind::PasswordChanged, None).await?;
    Ok(())
}
