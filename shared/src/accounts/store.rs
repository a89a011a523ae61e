use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use secrecy::SecretString;

use super::{Account, AccountSettings, AccountState, Column, Entity, LoginMethod, Transport, identity_of};
use crate::{
    clock::Clock,
    database::{AllTenants, Cursor, Database, Page, StoreError, Texts, check, page::newest_first},
    ids::{AccountId, TenantId},
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
    pub(super) database: Database,
    pub(super) clock: Clock,
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
            former_identities: Texts::default(),
            identity_since: None,
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
        tx.watch(Entity::find().filter(own(tenant, id))).await?;
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

    /// A tenant's connections of one and the same mailbox, the oldest first. Those that are over are left out, unless their provider's
    /// limit still holds: a mailbox that is connected anew every day would have more and more of them.
    pub async fn of_identity(&self, tenant: TenantId, identity: &str) -> Result<Vec<Account>, StoreError> {
        let counts = Condition::any()
            .add(Column::State.ne(AccountState::Disconnected))
            .add(Column::LimitedUntil.gt(self.clock.now()));
        let same = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::Identity.eq(identity));
        let select = same.filter(counts);
        Ok(select.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).all(self.database.reader()).await?)
    }

    /// The password, in the clear: for the moment of logging in.
    pub fn password(&self, account: &Account) -> Result<SecretString, StoreError> {
        let row = account.id.to_string();
        Ok(self.keys()?.open(place(&row), &account.password_sealed)?)
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

    pub(super) fn seal(&self, id: AccountId, password: &SecretString) -> Result<String, StoreError> {
        Ok(self.keys()?.seal(place(&id.to_string()), password)?)
    }

    fn keys(&self) -> Result<&KeyRing, StoreError> {
        self.keys.as_ref().ok_or(StoreError::Seal(crate::seal::SealError::NoKeys))
    }
}

fn place(row: &str) -> Place<'_> {
    Place { table: "accounts", column: "password", row }
}

pub(super) fn connected(tenant: TenantId, id: AccountId) -> Condition {
    own(tenant, id).add(Column::State.ne(AccountState::Disconnected))
}

pub(super) fn own(tenant: TenantId, id: AccountId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant))
}

pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    id: AccountId,
) -> Result<Account, StoreError> {
    Entity::find().filter(own(tenant, id)).one(connection).await?.ok_or(StoreError::NotFound { what: "account" })
}
