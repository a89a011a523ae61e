//! Another address for an account: asked for by its owner, proven by a code that goes there, and told to the old one.

use sea_orm::EntityTrait;

use super::{Profiles, Proof, proof};
use crate::{
    audit::{AuditKind, AuditOutcome, Said},
    database::StoreError,
    identities,
    ids::{CodeId, OutboxId, SessionId, UserId},
    notices::{self, NoticeKind},
    one_time_codes::CodePurpose,
    sessions::{self, EndedBy},
    users::{self, Email, User},
};

impl Profiles {
    /// Has a code mailed to the address that an account is to have; the jobs that do it. One that has a user already gets word of that
    /// instead, and the caller sees no difference, nor when the address got too many mails in this hour. `None` if the proof does not
    /// hold.
    pub async fn ask_email(
        &self,
        id: CodeId,
        user: UserId,
        proof: &Proof,
        email: &Email,
    ) -> Result<Option<Vec<OutboxId>>, StoreError> {
        let tx = self.database.write().await?;
        let found = users::lock(&tx, user).await?.ok_or(StoreError::NotFound { what: "user" })?;
        if !proof.holds(&tx, &self.codes, &found, CodePurpose::ChangeEmail).await? {
            proof::refuse(tx, user).await?;
            return Ok(None);
        }
        let taken = users::has(&tx, email).await?;
        let purpose = if taken { CodePurpose::NewEmailTaken } else { CodePurpose::NewEmail };
        let issued = self.codes.issue_in(&tx, id, purpose, Some(user), email).await?;
        tx.say(Said::of(AuditKind::Change, AuditOutcome::Attempted, user));
        tx.commit().await?;
        Ok(Some(issued.into_iter().map(|issued| issued.entry).collect()))
    }

    /// Gives an account the address that a code has proven. All other sessions end, codes that went to the old address are void, and
    /// identities with a weaker proof of it go. `None` for a code that is not taken.
    pub async fn change_email(
        &self,
        (user, session): (UserId, SessionId),
        id: CodeId,
        code: &str,
    ) -> Result<Option<User>, StoreError> {
        let nobody = || StoreError::NotFound { what: "user" };
        let now = self.clock.now();
        let tx = self.database.write().await?;
        let before = users::lock(&tx, user).await?.ok_or_else(nobody)?;
        tx.watch(users::Entity::find_by_id(user)).await?;
        let Some(proven) = self.codes.redeem_own(&tx, (user, id), CodePurpose::NewEmail, code).await? else {
            proof::refuse(tx, user).await?;
            return Ok(None);
        };
        let email = Email::parse(&proven.email)?;
        if users::has(&tx, &email).await? {
            return Err(StoreError::Taken { what: "user" });
        }
        users::move_to(&tx, now, user, &email).await?;
        self.codes.void_all(&tx, user).await?;
        identities::forget_doubtful(&tx, now, &before).await?;
        sessions::end_all(&tx, now, (user, Some(session)), EndedBy::EmailChanged).await?;
        notices::tell(&tx, now, &before, NoticeKind::EmailChanged, None).await?;
        let after = users::lock(&tx, user).await?.ok_or_else(nobody)?;
        tx.commit().await?;
        Ok(Some(after))
    }
}
