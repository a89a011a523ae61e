//! What changes in a connected mailbox: its settings, and whether it is used.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::LockType};
use secrecy::SecretString;

use super::{
    Account, AccountSettings, AccountState, Accounts, ActiveModel, Column, Entity, LoginMethod, Transport, identity_of,
    store::{connected, find, own},
};
use crate::{
    database::{StoreError, Transaction, check},
    ids::{AccountId, OutboxId, TenantId},
    jobs::RevokeGoogle,
    mail::{cursor, snapshot},
    outbox,
};

/// Former identities that are kept: more changes than anybody makes while a message waits.
const MOST_FORMER: usize = 16;

/// Every state that [`connected`] lets pass.
const ANY: &[AccountState] =
    &[AccountState::Connecting, AccountState::Active, AccountState::Paused, AccountState::NeedsConsent];
/// What a person may pause and resume.
const CONSENTED: &[AccountState] = &[AccountState::Active, AccountState::Paused];

/// What is to be different about an account.
#[derive(Debug, Clone)]
pub struct AccountChange {
    /// All of them, as they are to be.
    pub settings: AccountSettings,
    /// In the place of the one it has.
    pub password: Option<SecretString>,
    /// Another way to hand its mail over.
    pub transport: Option<Transport>,
}

impl From<AccountSettings> for AccountChange {
    fn from(settings: AccountSettings) -> Self {
        Self { settings, password: None, transport: None }
    }
}

impl Accounts {
    /// Changes the settings to what `merge` makes of the account as it is, and nobody changes it in between; what `merge` refuses is
    /// not done. With another address or name another mailbox may stand behind the
    /// account: what we know of old mail in it counts no more, and neither does our place in it; of its mail, that is read which came
    /// since the last look; and messages that wait to be sent move to the limits of the new address. At another IMAP server it is the
    /// same mailbox under other numbers: what is known is not read again.
    pub async fn change<E: From<StoreError>>(
        &self,
        tenant: TenantId,
        id: AccountId,
        merge: impl FnOnce(&Account) -> Result<AccountChange, E>,
    ) -> Result<Account, E> {
        let tx = self.database.write().await?;
        let before = locked(&tx, tenant, id).await?;
        let change = merge(&before)?;
        tx.watch(Entity::find().filter(own(tenant, id))).await?;
        let account = self.apply(&tx, before, change).await?;
        tx.commit().await?;
        Ok(account)
    }

    async fn apply(&self, tx: &Transaction, before: Account, change: AccountChange) -> Result<Account, StoreError> {
        let (tenant, id) = (before.tenant_id, before.id);
        let settings = change.settings.checked()?;
        let mut changes = ActiveModel {
            identity: Set(identity_of(&settings.address)),
            address: Set(settings.address),
            display_name: Set(settings.display_name),
            imap_host: Set(settings.imap.host),
            imap_port: Set(i32::from(settings.imap.port)),
            imap_security: Set(settings.imap.security),
            imap_username: Set(settings.imap.username),
            smtp_host: Set(settings.smtp.host),
            smtp_port: Set(i32::from(settings.smtp.port)),
            smtp_security: Set(settings.smtp.security),
            smtp_username: Set(settings.smtp.username),
            daily_cap: Set(check::number("daily_cap", settings.daily_cap, 0, 1_000_000)?),
            time_zone: Set(settings.time_zone),
            poll_interval_seconds: Set(check::number(
                "poll_interval_seconds",
                settings.poll_interval_seconds,
                1,
                86_400,
            )?),
            ..ActiveModel::default()
        };
        if let Some(password) = change.password {
            changes.password_sealed = Set(self.seal(id, &password)?);
        }
        if let Some(transport) = change.transport {
            if transport == Transport::Gmail && before.login != LoginMethod::Google {
                return Err(StoreError::invalid("transport", "gmail needs an account that logs in with Google"));
            }
            changes.transport = Set(transport);
        }
        let (identity, username) = (changes.identity.clone(), changes.imap_username.clone());
        let server = (changes.imap_host.clone(), changes.imap_port.clone());
        if identity != Set(before.identity.clone()) {
            let known = before.former_identities.0.iter().filter(|former| identity != Set((*former).clone()));
            let former: Vec<String> =
                std::iter::once(&before.identity).chain(known).take(MOST_FORMER).cloned().collect();
            changes.former_identities = Set(former.into());
            changes.identity_since = Set(Some(self.clock.now()));
        }
        if identity != Set(before.identity) || username != Set(before.imap_username) {
            snapshot::forget(tx.connection(), id).await?;
        } else if server != (Set(before.imap_host), Set(before.imap_port)) {
            cursor::distrust(tx.connection(), id).await?;
        }
        set(tx, self.clock.now(), (tenant, id), changes, ANY).await
    }

    /// Stops reading and sending, and says why. One that waits for its owner's consent goes on doing so.
    pub async fn pause(&self, tenant: TenantId, id: AccountId, reason: &str) -> Result<Account, StoreError> {
        let reason = check::lines("reason", reason, 2_000)?;
        let changes =
            ActiveModel { state: Set(AccountState::Paused), pause_reason: Set(Some(reason)), ..ActiveModel::default() };
        self.set(tenant, id, changes, CONSENTED).await
    }

    /// Sends nothing until then, because the provider takes no more; mail is read all the same.
    pub async fn limit(&self, tenant: TenantId, id: AccountId, until: DateTime<Utc>) -> Result<Account, StoreError> {
        self.set(tenant, id, ActiveModel { limited_until: Set(Some(until)), ..ActiveModel::default() }, ANY).await
    }

    /// Reads and sends again, also where the provider's limit was waited for. A mailbox whose owner's consent is missing cannot.
    pub async fn resume(&self, tenant: TenantId, id: AccountId) -> Result<Account, StoreError> {
        let changes = ActiveModel {
            state: Set(AccountState::Active),
            pause_reason: Set(None),
            limited_until: Set(None),
            ..ActiveModel::default()
        };
        let account = self.set(tenant, id, changes, CONSENTED).await?;
        if account.is_active() {
            return Ok(account);
        }
        Err(StoreError::conflict("account", "waits for its owner's consent"))
    }

    /// Forgets the password and never reads or sends again. The row stays for the mails and quotes that name it, and nobody finds
    /// it. The tokens of a Google account are given back by a job, which waits in the outbox then.
    pub async fn disconnect(&self, tenant: TenantId, id: AccountId) -> Result<(Account, Option<OutboxId>), StoreError> {
        let now = self.clock.now();
        let changes = ActiveModel {
            state: Set(AccountState::Disconnected),
            pause_reason: Set(None),
            password_sealed: Set(String::new()),
            updated_at: Set(now),
            ..ActiveModel::default()
        };
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, id))).await?;
        let done = Entity::update_many().set(changes).filter(connected(tenant, id)).exec(tx.connection()).await?;
        if done.rows_affected == 0 {
            return Err(StoreError::NotFound { what: "account" });
        }
        let account = find(tx.connection(), tenant, id).await?;
        let entry = match account.login {
            LoginMethod::Password => None,
            LoginMethod::Google => Some(outbox::enqueue(&tx, now, tenant, &RevokeGoogle { account_id: id }).await?),
        };
        tx.commit().await?;
        Ok((account, entry))
    }

    /// Changes a connected account that is in one of these states; one in another state is returned as it is.
    async fn set(
        &self,
        tenant: TenantId,
        id: AccountId,
        changes: ActiveModel,
        states: &[AccountState],
    ) -> Result<Account, StoreError> {
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, id))).await?;
        let account = set(&tx, self.clock.now(), (tenant, id), changes, states).await?;
        tx.commit().await?;
        Ok(account)
    }
}

async fn set(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, AccountId),
    changes: ActiveModel,
    states: &[AccountState],
) -> Result<Account, StoreError> {
    let changes = ActiveModel { updated_at: Set(now), ..changes };
    let allowed = connected(tenant, id).add(Column::State.is_in(states.iter().copied()));
    Entity::update_many().set(changes).filter(allowed).exec(tx.connection()).await?;
    let account = Entity::find().filter(connected(tenant, id)).one(tx.connection()).await?;
    account.ok_or(StoreError::NotFound { what: "account" })
}

/// The connected account, which nobody else changes until the transaction ends. Rows that name it may be added all the same.
async fn locked(tx: &Transaction, tenant: TenantId, id: AccountId) -> Result<Account, StoreError> {
    let found = Entity::find().filter(connected(tenant, id)).lock(LockType::NoKeyUpdate).one(tx.connection()).await?;
    found.ok_or(StoreError::NotFound { what: "account" })
}

/// Moves a connected account to a state inside the caller's transaction; `None` if it was disconnected.
pub(crate) async fn set_state(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, AccountId),
    state: AccountState,
    reason: Option<&str>,
) -> Result<Option<Account>, StoreError> {
    let reason = reason.map(|text| text.chars().take(2_000).collect());
    let changes =
        ActiveModel { state: Set(state), pause_reason: Set(reason), updated_at: Set(now), ..ActiveModel::default() };
    Entity::update_many().set(changes).filter(connected(tenant, id)).exec(tx.connection()).await?;
    Ok(Entity::find().filter(connected(tenant, id)).one(tx.connection()).await?)
}

/// Mail of an account is read from now on, not from when it was added.
pub(crate) async fn reads_from_now(
    tx: &Transaction,
    now: DateTime<Utc>,
    account: &Account,
) -> Result<Account, StoreError> {
    let changes = ActiveModel { connected_at: Set(now), ..ActiveModel::default() };
    let own = own(account.tenant_id, account.id);
    Entity::update_many().set(changes).filter(own).exec(tx.connection()).await?;
    find(tx.connection(), account.tenant_id, account.id).await
}
