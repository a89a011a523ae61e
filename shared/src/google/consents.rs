mod proof;

use chrono::TimeDelta;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter};
use secrecy::SecretString;

use self::proof::{challenge, parse, random, state_of};
use super::{
    Consent, ConsentState, Granted, Grants,
    consent::{ActiveModel, Column, Entity},
};
use crate::{
    accounts::{self, Account, AccountState, EventKind, note, set_state},
    clock::Clock,
    database::{Database, StoreError, Transaction},
    ids::{ConsentId, OutboxId, TenantId},
    jobs::ConnectGoogle,
    outbox,
    seal::{KeyRing, Place, SealError},
};

/// How long an owner may take.
const VALID: TimeDelta = TimeDelta::hours(1);

/// What an owner is sent to Google with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub consent: Consent,
    /// Comes back with the answer: sealed by us, good once and for a while.
    pub state: String,
    /// PKCE (RFC 7636), by SHA-256.
    pub challenge: String,
}

/// With what the owner came back.
#[derive(Debug, Clone)]
pub enum OwnersAnswer {
    Code(SecretString),
    /// Google's word for it, such as `access_denied`.
    Refused(String),
}

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The state is not one of ours, or was altered.
    #[error("the state is not one that this installation gave out")]
    Forged,
    #[error("the time to consent is over")]
    Expired,
    #[error("this consent was answered before, or a newer one was asked for")]
    Used,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The consent that a state belongs to, if the state is ours. Whether it is still open, the table says.
pub fn proven(keys: &KeyRing, state: &str) -> Result<ConsentId, ConsentError> {
    let (id, sealed) = parse(state).ok_or(ConsentError::Forged)?;
    match keys.open(place("state", &id.to_string()), &sealed) {
        Ok(_) => Ok(id),
        Err(SealError::NoKeys) => Err(StoreError::Seal(SealError::NoKeys).into()),
        Err(SealError::Malformed | SealError::UnknownKey(_) | SealError::Refused | SealError::Unlisted(_)) => {
            Err(ConsentError::Forged)
        }
    }
}

/// The table of consents.
#[derive(Clone)]
pub struct Consents {
    database: Database,
    clock: Clock,
    keys: Option<KeyRing>,
    grants: Grants,
}

impl Consents {
    pub fn new(database: Database, clock: Clock, keys: Option<KeyRing>) -> Self {
        let grants = Grants::new(database.clone(), clock.clone(), keys.clone());
        Self { database, clock, keys, grants }
    }

    /// Begins a consent. Older ones of the account that nobody answered are void.
    pub async fn ask(&self, account: &Account) -> Result<Asked, StoreError> {
        let (id, now, verifier) = (ConsentId::random(), self.clock.now(), random());
        let consent = Consent {
            id,
            tenant_id: account.tenant_id,
            account_id: account.id,
            verifier_sealed: self.seal("verifier", id, &verifier)?,
            code_sealed: String::new(),
            state: ConsentState::Open,
            reason: None,
            expires_at: now + VALID,
            created_at: now,
        };
        let state = state_of(id, &self.seal("state", id, &SecretString::from(String::new()))?);
        let settled = [ConsentState::Answered, ConsentState::Exchanged];
        let older = Condition::all().add(Column::AccountId.eq(account.id)).add(Column::State.is_not_in(settled));
        let tx = self.database.write().await?;
        Entity::delete_many().filter(older).exec(tx.connection()).await?;
        Entity::insert(consent.clone().into_active_model()).exec_without_returning(tx.connection()).await?;
        tx.commit().await?;
        Ok(Asked { consent, state, challenge: challenge(&verifier) })
    }

    /// Takes the owner's answer, once. A code is kept for the job that exchanges it, which is returned.
    pub async fn answered(
        &self,
        state: &str,
        answer: OwnersAnswer,
    ) -> Result<(Consent, Option<OutboxId>), ConsentError> {
        let id = proven(self.keys()?, state)?;
        let now = self.clock.now();
        let changes = match &answer {
            OwnersAnswer::Code(code) => ActiveModel {
                state: Set(ConsentState::Answered),
                code_sealed: Set(self.seal("code", id, code)?),
                ..ActiveModel::default()
            },
            OwnersAnswer::Refused(reason) => ended(ConsentState::Denied, Some(reason)),
        };
        let tx = self.database.write().await?;
        let open = Condition::all()
            .add(Column::Id.eq(id))
            .add(Column::State.eq(ConsentState::Open))
            .add(Column::ExpiresAt.gt(now));
        let done =
            Entity::update_many().set(changes).filter(open).exec(tx.connection()).await.map_err(StoreError::from)?;
        let found = Entity::find_by_id(id).one(tx.connection()).await.map_err(StoreError::from)?;
        // A newer consent deletes an older one.
        let consent = found.ok_or(ConsentError::Used)?;
        if done.rows_affected == 0 {
            return Err(if consent.state == ConsentState::Open { ConsentError::Expired } else { ConsentError::Used });
        }
        let entry = match answer {
            OwnersAnswer::Code(_) => Some(self.exchange(&tx, &consent).await?),
            OwnersAnswer::Refused(reason) => {
                self.without_grant(&tx, &consent, &format!("the consent was refused at Google: {reason}")).await?;
                None
            }
        };
        tx.commit().await?;
        Ok((consent, entry))
    }

    pub async fn get(&self, tenant: TenantId, id: ConsentId) -> Result<Option<Consent>, StoreError> {
        Ok(Entity::find().filter(own(tenant, id)).one(self.database.reader()).await?)
    }

    /// What the code is exchanged with: the code and the PKCE verifier.
    pub fn code(&self, consent: &Consent) -> Result<(SecretString, SecretString), StoreError> {
        let (keys, row) = (self.keys()?, consent.id.to_string());
        let code = keys.open(place("code", &row), &consent.code_sealed)?;
        Ok((code, keys.open(place("verifier", &row), &consent.verifier_sealed)?))
    }

    /// The refresh token that an exchange gave.
    pub fn refresh_token(&self, consent: &Consent) -> Result<SecretString, StoreError> {
        Ok(self.keys()?.open(place("refresh_token", &consent.id.to_string()), &consent.code_sealed)?)
    }

    /// The code was exchanged, which works once: what it gave is kept before anything else is tried.
    pub async fn exchanged(&self, consent: &Consent, refresh: &SecretString) -> Result<(), StoreError> {
        let changes = ActiveModel {
            state: Set(ConsentState::Exchanged),
            verifier_sealed: Set(String::new()),
            code_sealed: Set(self.seal("refresh_token", consent.id, refresh)?),
            ..ActiveModel::default()
        };
        let tx = self.database.write().await?;
        self.step(&tx, consent, ConsentState::Answered, changes).await?;
        tx.commit().await
    }

    /// The account has the grant and is used from now on; one that never was reads mail from now on. `None` if it was
    /// disconnected meanwhile.
    pub async fn completed(&self, consent: &Consent, granted: &Granted) -> Result<Option<Account>, StoreError> {
        let place = (consent.tenant_id, consent.account_id);
        let tx = self.database.write().await?;
        self.step(&tx, consent, ConsentState::Exchanged, ended(ConsentState::Completed, None)).await?;
        let before = accounts::find(tx.connection(), place.0, place.1).await?;
        self.grants.grant(&tx, place, granted).await?;
        let account = set_state(&tx, self.clock.now(), place, AccountState::Active, None).await?;
        let Some(mut account) = account else { return Ok(None) };
        if before.state == AccountState::Connecting {
            account = accounts::reads_from_now(&tx, self.clock.now(), &account).await?;
        }
        note(&tx, &self.clock, &account, EventKind::Connected, None).await?;
        tx.commit().await?;
        Ok(Some(account))
    }

    /// The consent is of no use. An account that has no other grant waits for another consent.
    pub async fn failed(&self, consent: &Consent, reason: &str) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        self.step(&tx, consent, consent.state, ended(ConsentState::Failed, Some(reason))).await?;
        self.without_grant(&tx, consent, reason).await?;
        tx.commit().await
    }

    async fn exchange(&self, tx: &Transaction, consent: &Consent) -> Result<OutboxId, StoreError> {
        let job = ConnectGoogle { consent_id: consent.id };
        outbox::enqueue(tx, self.clock.now(), consent.tenant_id, &job).await
    }

    async fn step(
        &self,
        tx: &Transaction,
        consent: &Consent,
        from: ConsentState,
        changes: ActiveModel,
    ) -> Result<(), StoreError> {
        let expected = own(consent.tenant_id, consent.id).add(Column::State.eq(from));
        let done = Entity::update_many().set(changes).filter(expected).exec(tx.connection()).await?;
        if done.rows_affected == 1 {
            return Ok(());
        }
        Err(StoreError::conflict("consent", "was taken further by another run"))
    }

    /// Tells the owner of a consent that came to nothing. An account that works goes on working.
    async fn without_grant(&self, tx: &Transaction, consent: &Consent, reason: &str) -> Result<(), StoreError> {
        let place = (consent.tenant_id, consent.account_id);
        let mut account = accounts::find(tx.connection(), place.0, place.1).await?;
        if matches!(account.state, AccountState::Connecting | AccountState::NeedsConsent) {
            let state = AccountState::NeedsConsent;
            let Some(waiting) = set_state(tx, self.clock.now(), place, state, Some(reason)).await? else {
                return Ok(());
            };
            account = waiting;
        }
        note(tx, &self.clock, &account, EventKind::ConsentFailed, Some(reason)).await
    }

    fn seal(&self, column: &str, id: ConsentId, secret: &SecretString) -> Result<String, StoreError> {
        Ok(self.keys()?.seal(place(column, &id.to_string()), secret)?)
    }

    fn keys(&self) -> Result<&KeyRing, StoreError> {
        self.keys.as_ref().ok_or(StoreError::Seal(SealError::NoKeys))
    }
}

/// Ended one way or another: its secrets are forgotten.
fn ended(state: ConsentState, reason: Option<&str>) -> ActiveModel {
    ActiveModel {
        state: Set(state),
        reason: Set(reason.map(|text| text.chars().take(2_000).collect())),
        verifier_sealed: Set(String::new()),
        code_sealed: Set(String::new()),
        ..ActiveModel::default()
    }
}

fn place<'a>(column: &'a str, row: &'a str) -> Place<'a> {
    Place { table: "google_consents", column, row }
}

fn own(tenant: TenantId, id: ConsentId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::TenantId.eq(tenant))
}
