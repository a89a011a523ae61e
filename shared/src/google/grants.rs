use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Grant, Granted, Renewal, Renewed, TokenSecret,
    grant::{ActiveModel, Column, Entity},
    renewal::Paused,
};
use crate::{
    accounts::{AccountState, EventKind, note, set_state},
    clock::Clock,
    database::{Database, StoreError, Transaction},
    ids::{AccountId, TenantId},
    seal::{KeyRing, SealError},
};

/// The table of what owners of Google accounts granted.
///
/// Whoever renews an access token first takes the row's lease by compare-and-set on (version, lease): over all processes one asks
/// Google at a time, and an answer is stored only over the tokens it was asked for. A process that dies with the lease is waited
/// for until the lease ends. Clocks of the machines may differ by less than a lease is longer than a call to Google may take.
#[derive(Clone)]
pub struct Grants {
    database: Database,
    clock: Clock,
    keys: Option<KeyRing>,
}

impl Grants {
    pub fn new(database: Database, clock: Clock, keys: Option<KeyRing>) -> Self {
        Self { database, clock, keys }
    }

    pub async fn get(&self, tenant: TenantId, account: AccountId) -> Result<Option<Grant>, StoreError> {
        Ok(Entity::find().filter(own(tenant, account)).one(self.database.reader()).await?)
    }

    /// Why the access tokens of these accounts could not be renewed the last time, where that is so.
    pub async fn problems(
        &self,
        tenant: TenantId,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, String>, StoreError> {
        let theirs = Column::AccountId.is_in(accounts.iter().copied());
        let select = Entity::find().filter(Column::TenantId.eq(tenant)).filter(theirs);
        let rows = select.filter(Column::Problem.is_not_null()).all(self.database.reader()).await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.account_id, row.problem?))).collect())
    }

    /// One of the grant's tokens, in the clear; `None` if there is none.
    pub fn open(&self, grant: &Grant, which: TokenSecret) -> Result<Option<SecretString>, SealError> {
        let sealed = match which {
            TokenSecret::Refresh => &grant.refresh_token_sealed,
            TokenSecret::Access => &grant.access_token_sealed,
        };
        if sealed.is_empty() {
            return Ok(None);
        }
        let keys = self.keys.as_ref().ok_or(SealError::NoKeys)?;
        which.open(keys, grant.account_id, sealed).map(Some)
    }

    /// Takes the right to renew until then, if the tokens are still those of `grant` and nobody else has it.
    pub async fn begin(&self, grant: &Grant, until: DateTime<Utc>) -> Result<Option<Renewal>, StoreError> {
        let now = self.clock.now();
        let holder = Uuid::new_v4();
        let changes = ActiveModel {
            holder: Set(Some(holder)),
            held_from: Set(Some(now)),
            held_until: Set(Some(until)),
            ..ActiveModel::default()
        };
        let free = Condition::any().add(Column::HeldUntil.is_null()).add(Column::HeldUntil.lte(now));
        let expected = own(grant.tenant_id, grant.account_id).add(Column::Version.eq(grant.version)).add(free);
        let tx = self.database.write().await?;
        let done = Entity::update_many().set(changes).filter(expected).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok((done.rows_affected == 1).then(|| Renewal {
            tenant: grant.tenant_id,
            account: grant.account_id,
            version: grant.version,
            holder,
            failures: u32::try_from(grant.failures).unwrap_or_default(),
        }))
    }

    /// Stores what Google gave, all of it or nothing, and ends the renewal.
    pub async fn renewed(&self, renewal: &Renewal, granted: &Granted) -> Result<Renewed, StoreError> {
        let version = renewal.version + 1;
        let mut changes = self.tokens(renewal.account, granted)?;
        changes.version = Set(version);
        changes.refreshed_at = Set(Some(self.clock.now()));
        let tx = self.database.write().await?;
        let done = Entity::update_many().set(changes).filter(under(renewal)).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(if done.rows_affected == 1 { Renewed::Stored { version } } else { Renewed::Overtaken })
    }

    /// Ends a renewal that did not succeed: nobody asks again before `until`.
    pub async fn postponed(&self, renewal: &Renewal, until: DateTime<Utc>, problem: &str) -> Result<(), StoreError> {
        let changes = ActiveModel {
            holder: Set(None),
            held_until: Set(Some(until)),
            failures: Set(i32::try_from(renewal.failures.saturating_add(1)).unwrap_or(i32::MAX)),
            problem: Set(Some(problem.to_owned())),
            ..ActiveModel::default()
        };
        let tx = self.database.write().await?;
        Entity::update_many().set(changes).filter(under(renewal)).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// The grant is gone: its tokens are forgotten, and the account waits for its owner's consent. Only over the tokens of that
    /// version, so that a consent given meanwhile stands.
    pub async fn revoked(
        &self,
        (tenant, account): (TenantId, AccountId),
        version: i64,
        reason: &str,
    ) -> Result<Paused, StoreError> {
        let changes = ActiveModel {
            refresh_token_sealed: Set(String::new()),
            access_token_sealed: Set(String::new()),
            access_expires_at: Set(None),
            version: Set(version + 1),
            problem: Set(Some(reason.to_owned())),
            ..released()
        };
        let tx = self.database.write().await?;
        let expected = own(tenant, account).add(Column::Version.eq(version));
        let done = Entity::update_many().set(changes).filter(expected).exec(tx.connection()).await?;
        if done.rows_affected == 0 {
            return Ok(None);
        }
        let state = AccountState::NeedsConsent;
        let paused = set_state(&tx, self.clock.now(), (tenant, account), state, Some(reason)).await?;
        if let Some(account) = &paused {
            note(&tx, &self.clock, account, EventKind::NeedsConsent, Some(reason)).await?;
        }
        tx.commit().await?;
        Ok(paused)
    }

    /// Stores a grant that was just given, over any older one.
    pub async fn grant(
        &self,
        tx: &Transaction,
        (tenant, account): (TenantId, AccountId),
        granted: &Granted,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut changes = self.tokens(account, granted)?;
        changes.granted_at = Set(now);
        let older = Entity::find().filter(own(tenant, account)).one(tx.connection()).await?;
        if let Some(older) = older {
            changes.version = Set(older.version + 1);
            Entity::update_many().set(changes).filter(own(tenant, account)).exec(tx.connection()).await?;
            return Ok(());
        }
        let row = Grant {
            account_id: account,
            tenant_id: tenant,
            refresh_token_sealed: changes.refresh_token_sealed.try_as_ref().cloned().unwrap_or_default(),
            access_token_sealed: changes.access_token_sealed.try_as_ref().cloned().unwrap_or_default(),
            access_expires_at: Some(granted.expires_at),
            version: 1,
            holder: None,
            held_from: None,
            held_until: None,
            failures: 0,
            problem: None,
            granted_at: now,
            refreshed_at: None,
        };
        Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await?;
        Ok(())
    }

    /// Forgets everything that was granted.
    pub async fn forget(&self, tenant: TenantId, account: AccountId) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        Entity::delete_many().filter(own(tenant, account)).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// [`grant`](Self::grant) in a transaction of its own: for tests, and for tokens that were got elsewhere.
    pub async fn put(&self, tenant: TenantId, account: AccountId, granted: &Granted) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        self.grant(&tx, (tenant, account), granted).await?;
        tx.commit().await
    }

    fn tokens(&self, account: AccountId, granted: &Granted) -> Result<ActiveModel, StoreError> {
        let keys = self.keys.as_ref().ok_or(SealError::NoKeys)?;
        let mut changes = ActiveModel {
            access_token_sealed: Set(TokenSecret::Access.seal(keys, account, &granted.access)?),
            access_expires_at: Set(Some(granted.expires_at)),
            problem: Set(None),
            ..released()
        };
        if let Some(refresh) = &granted.refresh {
            changes.refresh_token_sealed = Set(TokenSecret::Refresh.seal(keys, account, refresh)?);
        }
        Ok(changes)
    }
}

fn released() -> ActiveModel {
    ActiveModel {
        holder: Set(None),
        held_from: Set(None),
        held_until: Set(None),
        failures: Set(0),
        ..ActiveModel::default()
    }
}

fn own(tenant: TenantId, account: AccountId) -> Condition {
    Condition::all().add(Column::AccountId.eq(account)).add(Column::TenantId.eq(tenant))
}

fn under(renewal: &Renewal) -> Condition {
    let own = own(renewal.tenant, renewal.account);
    own.add(Column::Version.eq(renewal.version)).add(Column::Holder.eq(renewal.holder))
}
