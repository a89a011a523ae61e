use chrono::{DateTime, Utc};
use postrider_queue::{NewJob, Tenant};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use secrecy::SecretString;

use super::{Account, AccountSettings, AccountState, ActiveModel, Column, Entity, LoginMethod, Transport, identity_of};
use crate::{
    clock::Clock,
    database::{AllTenants, Cursor, Database, Page, StoreError, Transaction, check, page::newest_first},
    ids::{AccountId, OutboxId, TenantId},
    jobs::RevokeGoogle,
    outbox,
    seal::{KeyRing, Place},
};

/// A mailbox to be connected.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub settings: AccountSettings,
    /// For both servers; sealed before it is stored.
    pub password: SecretString,
}

/// The table of connected mailboxes.
#[derive(Clone)]
pub struct Accounts {
    database: Database,
    clock: Clock,
    keys: Option<KeyRing>,
}

impl Accounts {
    /// Without keys, passwords can neither be stored nor opened: enough for the scheduler, which needs none.
    pub fn new(database: Database, clock: Clock, keys: Option<KeyRing>) -> Self {
        Self { database, clock, keys }
    }

    /// Connects a mailbox: active at once, reading mail from now on.
    pub async fn create(&self, tenant: TenantId, new: NewAccount) -> Result<Account, StoreError> {
        self.create_as(tenant, AccountId::random(), new).await
    }

    /// [`create`](Self::create) under this id. One that has it already was made by the same request and is returned.
    pub async fn create_as(&self, tenant: TenantId, id: AccountId, new: NewAccount) -> Result<Account, StoreError> {
        let sealed = self.seal(id, &new.password)?;
        self.insert(tenant, id, new.settings, (LoginMethod::Password, AccountState::Active, sealed)).await
    }

    /// Adds a mailbox of a Google account under this id. It is used from its owner's consent on.
    pub async fn create_google_as(
        &self,
        tenant: TenantId,
        id: AccountId,
        settings: AccountSettings,
    ) -> Result<Account, StoreError> {
        self.insert(tenant, id, settings, (LoginMethod::Google, AccountState::Connecting, String::new())).await
    }

    async fn insert(
        &self,
        tenant: TenantId,
        id: AccountId,
        settings: AccountSettings,
        (login, state, password_sealed): (LoginMethod, AccountState, String),
    ) -> Result<Account, StoreError> {
        let settings = settings.checked()?;
        let now = self.clock.now();
        let account = Account {
            id,
            tenant_id: tenant,
            identity: identity_of(&settings.address),
            address: settings.address,
            display_name: settings.display_name,
            imap_host: settings.imap.host,
            imap_port: i32::from(settings.imap.port),
            imap_security: settings.imap.security,
            imap_username: settings.imap.username,
            smtp_host: settings.smtp.host,
            smtp_port: i32::from(settings.smtp.port),
            smtp_security: settings.smtp.security,
            smtp_username: settings.smtp.username,
            login,
            // Whoever consents lets us use the API, too.
            transport: if login == LoginMethod::Google { Transport::Gmail } else { Transport::Smtp },
            password_sealed,
            daily_cap: check::number("daily_cap", settings.daily_cap, 0, 1_000_000)?,
            time_zone: settings.time_zone,
            poll_interval_seconds: check::number("poll_interval_seconds", settings.poll_interval_seconds, 1, 86_400)?,
            state,
            pause_reason: None,
            limited_until: None,
            connected_at: now,
            created_at: now,
            updated_at: now,
        };
        let tx = self.database.write().await?;
        if let Some(made) = Entity::find().filter(own(tenant, id)).one(tx.connection()).await? {
            return Ok(made);
        }
        Entity::insert(account.clone().into_active_model()).exec_without_returning(tx.connection()).await?;
        tx.commit().await?;
        Ok(account)
    }

    pub async fn get(&self, tenant: TenantId, id: AccountId) -> Result<Account, StoreError> {
        let found = Entity::find().filter(connected(tenant, id)).one(self.database.reader()).await?;
        found.ok_or(StoreError::NotFound { what: "account" })
    }

    /// A mailbox, unless it was disconnected: for work that was under way then.
    pub async fn if_connected(&self, tenant: TenantId, id: AccountId) -> Result<Option<Account>, StoreError> {
        Ok(Entity::find().filter(connected(tenant, id)).one(self.database.reader()).await?)
    }

    /// A mailbox, also one that was disconnected.
    pub async fn in_any_state(&self, tenant: TenantId, id: AccountId) -> Result<Account, StoreError> {
        find(self.database.reader(), tenant, id).await
    }

    /// A tenant's mailboxes, newest first.
    pub async fn list(
        &self,
        tenant: TenantId,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<Account>, StoreError> {
        let select =
            Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::State.ne(AccountState::Disconnected));
        let key = |row: &Account| Cursor::after(row.created_at, row.id.0);
        let order = (Column::CreatedAt, Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }

    /// Mailboxes in any state in the order of their ids, from after `after`, for the scheduler.
    pub async fn every(&self, _: AllTenants, after: Option<AccountId>, limit: u64) -> Result<Vec<Account>, StoreError> {
        let select = match after {
            Some(after) => Entity::find().filter(Column::Id.gt(after)),
            None => Entity::find(),
        };
        Ok(select.order_by_asc(Column::Id).limit(limit).all(self.database.reader()).await?)
    }

    /// A tenant's connections of one and the same mailbox, the oldest first.
    pub async fn of_identity(&self, tenant: TenantId, identity: &str) -> Result<Vec<Account>, StoreError> {
        let select = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::Identity.eq(identity));
        Ok(select.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).all(self.database.reader()).await?)
    }

    /// The password, in the clear: for the moment of logging in.
    pub fn password(&self, account: &Account) -> Result<SecretString, StoreError> {
        let row = account.id.to_string();
        Ok(self.keys()?.open(place(&row), &account.password_sealed)?)
    }

    /// Replaces the settings, and the password if one is given.
    pub async fn change(
        &self,
        tenant: TenantId,
        id: AccountId,
        settings: AccountSettings,
        password: Option<SecretString>,
    ) -> Result<Account, StoreError> {
        let settings = settings.checked()?;
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
        if let Some(password) = password {
            changes.password_sealed = Set(self.seal(id, &password)?);
        }
        self.set(tenant, id, changes, ANY).await
    }

    /// Hands the account's mail over another way.
    pub async fn set_transport(
        &self,
        tenant: TenantId,
        id: AccountId,
        transport: Transport,
    ) -> Result<Account, StoreError> {
        let account = self.get(tenant, id).await?;
        if transport == Transport::Gmail && account.login != LoginMethod::Google {
            return Err(StoreError::invalid("transport", "gmail needs an account that logs in with Google"));
        }
        self.set(tenant, id, ActiveModel { transport: Set(transport), ..ActiveModel::default() }, ANY).await
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
        let done = Entity::update_many().set(changes).filter(connected(tenant, id)).exec(tx.connection()).await?;
        if done.rows_affected == 0 {
            return Err(StoreError::NotFound { what: "account" });
        }
        let account = find(tx.connection(), tenant, id).await?;
        let entry = match account.login {
            LoginMethod::Password => None,
            LoginMethod::Google => {
                let job = NewJob::of(Tenant::from(tenant), &RevokeGoogle { account_id: id });
                let job = job.map_err(|error| StoreError::invalid("job", error.to_string()))?;
                Some(outbox::append(&tx, now, tenant, &job).await?)
            }
        };
        tx.commit().await?;
        Ok((account, entry))
    }

    /// How many other connections of the mailbox to its Google account there are in the whole installation: its owner granted us
    /// once, whoever connected it, so giving the grant back would take it from them, too.
    pub async fn other_google_connections(
        &self,
        _: AllTenants,
        identity: &str,
        besides: AccountId,
    ) -> Result<u64, StoreError> {
        let same = Condition::all()
            .add(Column::Identity.eq(identity))
            .add(Column::Login.eq(LoginMethod::Google))
            .add(Column::Id.ne(besides))
            .add(Column::State.ne(AccountState::Disconnected));
        let select = Entity::find().filter(same);
        Ok(select.count(self.database.reader()).await?)
    }

    /// Seals the password again if it is not sealed with the key that seals now. True if it was done.
    pub async fn reseal(&self, tenant: TenantId, id: AccountId) -> Result<bool, StoreError> {
        let account = self.get(tenant, id).await?;
        if account.login == LoginMethod::Google || self.keys()?.is_current(&account.password_sealed) {
            return Ok(false);
        }
        let sealed = self.seal(id, &self.password(&account)?)?;
        let tx = self.database.write().await?;
        // Only over the value that was opened: a password that changed meanwhile is not put back.
        let unchanged = own(tenant, id).add(Column::PasswordSealed.eq(account.password_sealed.as_str()));
        let changes = ActiveModel { password_sealed: Set(sealed), ..ActiveModel::default() };
        let done = Entity::update_many().set(changes).filter(unchanged).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected == 1)
    }

    /// Changes a connected account that is in one of these states; one in another state is returned as it is.
    async fn set(
        &self,
        tenant: TenantId,
        id: AccountId,
        changes: ActiveModel,
        states: &[AccountState],
    ) -> Result<Account, StoreError> {
        let changes = ActiveModel { updated_at: Set(self.clock.now()), ..changes };
        let tx = self.database.write().await?;
        let allowed = connected(tenant, id).add(Column::State.is_in(states.iter().copied()));
        Entity::update_many().set(changes).filter(allowed).exec(tx.connection()).await?;
        let account = Entity::find().filter(connected(tenant, id)).one(tx.connection()).await?;
        tx.commit().await?;
        account.ok_or(StoreError::NotFound { what: "account" })
    }

    fn seal(&self, id: AccountId, password: &SecretString) -> Result<String, StoreError> {
        Ok(self.keys()?.seal(place(&id.to_string()), password)?)
    }

    fn keys(&self) -> Result<&KeyRing, StoreError> {
        self.keys.as_ref().ok_or(StoreError::Seal(crate::seal::SealError::NoKeys))
    }
}

/// Every state that [`connected`] lets pass.
const ANY: &[AccountState] =
    &[AccountState::Connecting, AccountState::Active, AccountState::Paused, AccountState::NeedsConsent];
/// What a person may pause and resume.
const CONSENTED: &[AccountState] = &[AccountState::Active, AccountState::Paused];

fn place(row: &str) -> Place<'_> {
    Place { table: "accounts", column: "password", row }
}

fn connected(tenant: TenantId, id: AccountId) -> Condition {
    own(tenant, id).add(Column::State.ne(AccountState::Disconnected))
}

fn own(tenant: TenantId, id: AccountId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant))
}

pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    id: AccountId,
) -> Result<Account, StoreError> {
    Entity::find().filter(own(tenant, id)).one(connection).await?.ok_or(StoreError::NotFound { what: "account" })
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
