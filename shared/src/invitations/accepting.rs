use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use secrecy::SecretString;

use super::{
    Invitation, Invitations,
    row::{ActiveModel, Column, Entity},
    store::open_at,
    token,
};
use crate::{
    audit,
    database::{StoreError, Transaction},
    users::{self, Email, NewUser, User, Users},
};

/// Who accepts: somebody new brings a name, and a password unless they want to sign in by code.
#[derive(Debug, Clone, Default)]
pub struct Acceptance {
    pub name: Option<String>,
    pub password_hash: Option<String>,
}

/// Who accepted what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub invitation: Invitation,
    pub user: User,
}

impl Invitations {
    /// The invitation that a token opens, and the user who has its address already.
    pub async fn look(&self, token: &SecretString) -> Result<Option<(Invitation, Option<User>)>, StoreError> {
        let of_token = open_at(self.clock.now()).add(Column::TokenHash.eq(token::hash(token)));
        let found = Entity::find().filter(of_token).one(self.database.reader()).await?;
        let Some(invitation) = found else { return Ok(None) };
        let users = Users::new(self.database.clone(), self.clock.clone());
        let user = users.by_email(&Email::parse(&invitation.email)?).await?;
        Ok(Some((invitation, user)))
    }

    /// Takes an invitation, once. Somebody who has a user already keeps its name and password. `None` for a token that opens nothing.
    pub async fn accept(&self, token: &SecretString, who: Acceptance) -> Result<Option<Accepted>, StoreError> {
        let tx = self.database.write().await?;
        let accepted = accept_in(&tx, self.clock.now(), token, who).await?;
        if accepted.is_some() {
            tx.commit().await?;
        }
        Ok(accepted)
    }
}

/// The invitation that a token opens at this time.
pub(crate) async fn open_one(
    tx: &Transaction,
    now: DateTime<Utc>,
    token: &SecretString,
) -> Result<Option<Invitation>, StoreError> {
    let of_token = open_at(now).add(Column::TokenHash.eq(token::hash(token)));
    Ok(Entity::find().filter(of_token).one(tx.connection()).await?)
}

/// [`Invitations::accept`] in the transaction of another store.
pub(crate) async fn accept_in(
    tx: &Transaction,
    now: DateTime<Utc>,
    token: &SecretString,
    who: Acceptance,
) -> Result<Option<Accepted>, StoreError> {
    let of_token = Column::TokenHash.eq(token::hash(token));
    let changes =
        ActiveModel { accepted_at: Set(Some(now)), token_sealed: Set(String::new()), ..ActiveModel::default() };
    let open = open_at(now).add(of_token.clone());
    let done = Entity::update_many().set(changes).filter(open).exec(tx.connection()).await?;
    if done.rows_affected == 0 {
        return Ok(None);
    }
    let found = Entity::find().filter(of_token).one(tx.connection()).await?;
    let Some(invitation) = found else { return Ok(None) };
    let email = Email::parse(&invitation.email)?;
    let name = who.name.unwrap_or_else(|| email.to_string());
    let new = NewUser { email, name, password_hash: who.password_hash };
    let (mut user, _) = users::insert(tx, now, new).await?;
    audit::turns_out_to_be(user.id, invitation.tenant_id);
    if let Some(tenant) = invitation.tenant_id {
        users::join(tx, now, tenant, user.id, invitation.role).await?;
    } else {
        users::run_the_platform(tx, now, user.id).await?;
        user.platform_admin = true;
    }
    Ok(Some(Accepted { invitation, user }))
}
