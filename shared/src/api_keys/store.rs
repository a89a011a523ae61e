use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict,
};
use secrecy::SecretString;

use super::{ActiveModel, ApiKey, Column, Entity, IssuedKey, KeyOwner, NewKey, text::KeyText};
use crate::{
    clock::Clock,
    database::{Cursor, Database, Page, StoreError, Texts, brief::Brief, check, page::newest_first},
    ids::ApiKeyId,
    roles::{Permission, Role},
};

/// A key that was just looked up is believed for so long: what another process revokes opens here no longer than that.
const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// A key in steady use is written to this often, not with every request.
const LAST_USED_EVERY: Duration = Duration::from_mins(1);

/// The table of keys.
#[derive(Clone)]
pub struct ApiKeys {
    pub(super) database: Database,
    pub(super) clock: Clock,
    /// By the prefix of the text; only keys that opened.
    opened: Brief<String, Arc<ApiKey>>,
    /// Keys of which this process wrote lately that they are in use.
    noted: Brief<ApiKeyId, ()>,
}

impl ApiKeys {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock, opened: Brief::new(BELIEVED_FOR), noted: Brief::new(LAST_USED_EVERY) }
    }

    /// Makes the platform's first key unless it was made before, by this or another replica: its id is fixed. `None` if it was.
    ///
    /// It is shown before it is made for good, because nobody could get in if its text were lost: when it cannot be shown, or the
    /// process ends meanwhile, the next call makes another.
    pub async fn ensure_platform_key<E: From<StoreError>>(
        &self,
        show: impl FnOnce(&SecretString) -> Result<(), E>,
    ) -> Result<Option<IssuedKey>, E> {
        let id = ApiKeyId::derived(&["platform"]);
        let issued = self.new_key(KeyOwner::Platform, id, NewKey::named("platform", Role::PlatformAdmin))?;
        let tx = self.database.write().await?;
        let inserted = Entity::insert(issued.key.clone().into_active_model())
            .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await
            .map_err(StoreError::from)?;
        if inserted == 0 {
            return Ok(None);
        }
        show(&issued.text)?;
        tx.commit().await?;
        Ok(Some(issued))
    }

    /// Makes a key. One that has the id already was made by the same request, whose answer was never given: nobody knows its text,
    /// so it gets a new one.
    pub async fn issue(&self, owner: KeyOwner, id: ApiKeyId, new: NewKey) -> Result<IssuedKey, StoreError> {
        let issued = self.new_key(owner, id, new)?;
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(owner.key(id))).await?;
        Entity::delete_many().filter(owner.key(id)).exec(tx.connection()).await?;
        Entity::insert(issued.key.clone().into_active_model()).exec_without_returning(tx.connection()).await?;
        tx.commit().await?;
        self.forget(id);
        Ok(issued)
    }

    /// The key whose text this is, if it is one that opens. It may be read from this process's memory, as it was a second ago; what
    /// this process changed counts at once.
    pub async fn verify(&self, text: &str) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let Some(text) = KeyText::parse(text) else { return Ok(None) };
        if let Some(key) = self.opened.get(text.prefix.as_str()) {
            return Ok(key.opens_with(&text, self.clock.now()).then_some(key));
        }
        // In a box, because it is rare: whoever waits for a job asks this again and again, and would hold room for it all the time.
        Box::pin(self.look_up(text)).await
    }

    async fn look_up(&self, text: KeyText) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let reading = self.opened.begin();
        let named = Condition::any()
            .add(Column::Prefix.eq(text.prefix.as_str()))
            .add(Column::PreviousPrefix.eq(text.prefix.as_str()));
        let found = Entity::find().filter(named).one(self.database.reader()).await?;
        let Some(key) = found.filter(|key| key.opens_with(&text, self.clock.now())).map(Arc::new) else {
            return Ok(None);
        };
        self.opened.keep(reading, text.prefix, Arc::clone(&key));
        Ok(Some(key))
    }

    /// What changed about a key counts in this process from now on.
    pub(super) fn forget(&self, id: ApiKeyId) {
        self.opened.forget(|_, key| key.id == id);
    }

    /// Whether it is time to [note](Self::note_use) that the key is in use. Of several callers, one is told so.
    pub fn is_use_to_be_noted(&self, key: &ApiKey) -> bool {
        key.last_used_at.is_none_or(|last| last + LAST_USED_EVERY <= self.clock.now()) && self.noted.claim(key.id, ())
    }

    /// Notes that the key was used, unless another process did within the last minute.
    pub async fn note_use(&self, id: ApiKeyId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let stale =
            Condition::any().add(Column::LastUsedAt.is_null()).add(Column::LastUsedAt.lte(now - LAST_USED_EVERY));
        let tx = self.database.write().await?;
        Entity::update_many()
            .set(ActiveModel { last_used_at: Set(Some(now)), ..ActiveModel::default() })
            .filter(Condition::all().add(Column::Id.eq(id)).add(stale))
            .exec(tx.connection())
            .await?;
        tx.commit().await
    }

    /// Its keys, newest first, the revoked ones too.
    pub async fn list(&self, owner: KeyOwner, cursor: Option<Cursor>, limit: u64) -> Result<Page<ApiKey>, StoreError> {
        let select = Entity::find().filter(owner.keys());
        let key = |row: &ApiKey| Cursor::after(row.created_at, row.id.0);
        let order = (Column::CreatedAt, Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }

    /// One of its keys.
    pub async fn get(&self, owner: KeyOwner, id: ApiKeyId) -> Result<ApiKey, StoreError> {
        let found = Entity::find().filter(owner.key(id)).one(self.database.reader()).await?;
        found.ok_or(StoreError::NotFound { what: "key" })
    }

    fn new_key(&self, owner: KeyOwner, id: ApiKeyId, new: NewKey) -> Result<IssuedKey, StoreError> {
        if (new.role == Role::PlatformAdmin) != (owner == KeyOwner::Platform) {
            return Err(StoreError::invalid("role", "a tenant's key cannot run the platform, and a platform key does"));
        }
        let text = KeyText::generate();
        let key = ApiKey {
            id,
            tenant_id: owner.tenant(),
            name: check::line("name", &new.name, 200)?,
            role: new.role,
            prefix: text.prefix.clone(),
            hash: text.hash(),
            created_at: self.clock.now(),
            last_used_at: None,
            revoked_at: None,
            scopes: new.scopes.map(|scopes| narrowed(new.role, &scopes)).transpose()?,
            expires_at: self.expiry(new.expires_at)?,
            previous_prefix: None,
            previous_hash: None,
            previous_until: None,
            rotated_by: None,
        };
        Ok(IssuedKey { key, text: text.text() })
    }

    pub(super) fn expiry(&self, at: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, StoreError> {
        match at {
            Some(at) if at <= self.clock.now() => Err(StoreError::invalid("expires_at", "must be in the future")),
            Some(at) if at.timestamp() > LAST_SECOND => Err(StoreError::invalid("expires_at", "is too far away")),
            at => Ok(at),
        }
    }
}

/// The end of the year 9998.
const LAST_SECOND: i64 = 253_370_764_799;

/// Scopes as they are kept: sorted, each once, at least one, and none the role does not have.
fn narrowed(role: Role, scopes: &[Permission]) -> Result<Texts, StoreError> {
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(StoreError::invalid("scopes", "must not be empty; leave it out for all the role may do"));
    }
    match scopes.iter().find(|scope| !scope.roles().contains(&role)) {
        Some(scope) => Err(StoreError::invalid("scopes", format!("the role {role} does not have {scope}"))),
        None => Ok(Texts(scopes.into_iter().map(|scope| scope.as_str().to_owned()).collect())),
    }
}
