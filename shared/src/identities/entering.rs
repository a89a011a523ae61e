//! Signing in as somebody from elsewhere, for the first time or again.

use secrecy::SecretString;

use super::{
    Identities, Proven,
    store::{insert, is_doubtful, of_subject},
};
use crate::{
    audit,
    database::{StoreError, Transaction, check},
    ids::{IdentityId, TenantId, UserId},
    invitations::{self, Acceptance, Invitation},
    notices::{self, NoticeKind},
    roles::Role,
    tenants::{self, TenantSettings, TenantState},
    users::{self, Email, NewUser, User},
};

/// What somebody is to become who has no account yet.
#[derive(Debug, Clone)]
pub enum Newcomer {
    /// Nothing: only who is known gets in.
    Stranger,
    /// The administrator of a business that registers, and begins in this state.
    Registers { tenant_name: String, state: TenantState },
    /// What the invitation behind this mailed token says. Who is known accepts it, too.
    Invited { token: SecretString },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Entered {
    /// Somebody who was here before.
    Known(User),
    /// Somebody who was found by an address that is certainly theirs, and is known from now on.
    Linked(User),
    /// A new person with a new business.
    Registered { user: User, tenant: TenantId },
    /// Somebody who was invited.
    Accepted { user: User, invitation: Box<Invitation> },
    /// Nobody is known under this name.
    Unknown,
    /// The token names no verified address, which registering takes.
    NoAddress,
    /// The address has an account, whose owner has to sign in as before and link this.
    LinkFirst,
    /// The invitation is over, or was for another address than the person's.
    NotInvited,
}

/// A new identity, and whether somebody else was a moment faster with it.
enum Attempt {
    Done(Entered),
    Again,
}

impl Identities {
    /// Finds or makes the account of somebody whom an issuer vouches for.
    pub async fn enter(&self, proven: &Proven, newcomer: &Newcomer) -> Result<Entered, StoreError> {
        if let Newcomer::Registers { tenant_name, .. } = newcomer {
            check::line("tenant_name", tenant_name, 200)?;
        }
        // The second time finds what the other made.
        for _ in 0..2 {
            if let Attempt::Done(entered) = self.try_to_enter(proven, newcomer).await? {
                return Ok(entered);
            }
        }
        Err(StoreError::conflict("identity", "is being linked elsewhere at this moment"))
    }

    async fn try_to_enter(&self, proven: &Proven, newcomer: &Newcomer) -> Result<Attempt, StoreError> {
        let tx = self.database.write().await?;
        let known = match of_subject(&tx, proven).await? {
            Some(identity) => users::lock(&tx, identity.user_id).await?,
            None => None,
        };
        let entered = match (known, newcomer) {
            (Some(user), Newcomer::Stranger | Newcomer::Registers { .. }) => Attempt::Done(Entered::Known(user)),
            (Some(user), Newcomer::Invited { token }) => self.accept(&tx, &user, token).await?,
            (None, Newcomer::Invited { token }) => self.invited(&tx, proven, token).await?,
            (None, Newcomer::Stranger | Newcomer::Registers { .. }) => self.first(&tx, proven, newcomer).await?,
        };
        // Whoever is not let in leaves nothing behind.
        match entered {
            Attempt::Done(
                Entered::Known(_) | Entered::Linked(_) | Entered::Registered { .. } | Entered::Accepted { .. },
            ) => tx.commit().await?,
            Attempt::Done(Entered::Unknown | Entered::NoAddress | Entered::LinkFirst | Entered::NotInvited)
            | Attempt::Again => {}
        }
        Ok(entered)
    }

    /// Somebody whom nobody invited.
    async fn first(&self, tx: &Transaction, proven: &Proven, newcomer: &Newcomer) -> Result<Attempt, StoreError> {
        let registers = match newcomer {
            Newcomer::Registers { tenant_name, state } => Some((tenant_name, *state)),
            Newcomer::Stranger | Newcomer::Invited { .. } => None,
        };
        let Some(email) = &proven.email else {
            let missing = if registers.is_some() { Entered::NoAddress } else { Entered::Unknown };
            return Ok(Attempt::Done(missing));
        };
        if let Some(user) = users::by_email(tx, email).await? {
            return self.found(tx, proven, user).await;
        }
        let Some((tenant_name, state)) = registers else { return Ok(Attempt::Done(Entered::Unknown)) };
        let now = self.clock.now();
        let (user, added) = users::insert(tx, now, newborn(proven, email)).await?;
        if !added || !self.linked(tx, user.id, proven, proven.is_authoritative).await? {
            return Ok(Attempt::Again);
        }
        let settings = TenantSettings::named(tenant_name.clone());
        let tenant = tenants::insert(tx, now, TenantId::random(), settings, state).await?.id;
        audit::turns_out_to_be(user.id, Some(tenant));
        users::join(tx, now, tenant, user.id, Role::TenantAdmin).await?;
        Ok(Attempt::Done(Entered::Registered { user, tenant }))
    }

    /// An account that has the address.
    async fn found(&self, tx: &Transaction, proven: &Proven, user: User) -> Result<Attempt, StoreError> {
        // It may be the one that the same person, coming twice, has made a moment ago.
        if of_subject(tx, proven).await?.is_some() {
            return Ok(Attempt::Again);
        }
        if !proven.is_authoritative || is_doubtful(tx, user.id).await? {
            return Ok(Attempt::Done(Entered::LinkFirst));
        }
        if !self.linked(tx, user.id, proven, true).await? {
            return Ok(Attempt::Again);
        }
        notices::tell(tx, self.clock.now(), &user, NoticeKind::IdentityLinked, Some(&proven.issuer)).await?;
        Ok(Attempt::Done(Entered::Linked(user)))
    }

    /// Somebody who is not known, with an invitation. Its token came by mail, so the address is theirs.
    async fn invited(&self, tx: &Transaction, proven: &Proven, token: &SecretString) -> Result<Attempt, StoreError> {
        let Some(invitation) = invitations::open_one(tx, self.clock.now(), token).await? else {
            return Ok(Attempt::Done(Entered::NotInvited));
        };
        let email = Email::parse(&invitation.email)?;
        if let Some(user) = users::by_email(tx, &email).await? {
            if of_subject(tx, proven).await?.is_some() {
                return Ok(Attempt::Again);
            }
            if proven.email.as_ref() != Some(&email) {
                return Ok(Attempt::Done(Entered::LinkFirst));
            }
            return match self.found(tx, proven, user.clone()).await? {
                Attempt::Done(Entered::Linked(_)) => self.accept(tx, &user, token).await,
                other => Ok(other),
            };
        }
        let who = Acceptance { name: Some(newborn(proven, &email).name), password_hash: None };
        let Some(accepted) = invitations::accept_in(tx, self.clock.now(), token, who).await? else {
            return Ok(Attempt::Done(Entered::NotInvited));
        };
        if !self.linked(tx, accepted.user.id, proven, true).await? {
            return Ok(Attempt::Again);
        }
        let invitation = Box::new(accepted.invitation);
        Ok(Attempt::Done(Entered::Accepted { user: accepted.user, invitation }))
    }

    /// Somebody who is known, with an invitation.
    async fn accept(&self, tx: &Transaction, user: &User, token: &SecretString) -> Result<Attempt, StoreError> {
        let now = self.clock.now();
        let open = invitations::open_one(tx, now, token).await?;
        if open.is_none_or(|invitation| invitation.email != user.email) {
            return Ok(Attempt::Done(Entered::NotInvited));
        }
        let accepted = invitations::accept_in(tx, now, token, Acceptance::default()).await?;
        Ok(Attempt::Done(match accepted {
            Some(accepted) => Entered::Accepted { user: accepted.user, invitation: Box::new(accepted.invitation) },
            None => Entered::NotInvited,
        }))
    }

    async fn linked(
        &self,
        tx: &Transaction,
        user: UserId,
        proven: &Proven,
        address_proven: bool,
    ) -> Result<bool, StoreError> {
        let made = insert(tx, self.clock.now(), (IdentityId::random(), user), proven, address_proven).await?;
        Ok(made.is_some())
    }
}

/// Who comes without a usable name is called by the address.
fn newborn(proven: &Proven, email: &Email) -> NewUser {
    let name = proven.name.as_deref().and_then(|name| check::line("name", name, 200).ok());
    NewUser { email: email.clone(), name: name.unwrap_or_else(|| email.to_string()), password_hash: None }
}
