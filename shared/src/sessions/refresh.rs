use chrono::TimeDelta;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use secrecy::SecretString;
use subtle::ConstantTimeEq;

use super::{
    Carrier, Session, Sessions, chain,
    store::{add, found, reused, used},
    token::{TokenText, hashed, seed},
};
use crate::{
    database::{StoreError, Transaction},
    ids::SessionId,
};

/// How long a client may ask again for an answer that it lost.
const REPEATABLE: TimeDelta = TimeDelta::minutes(1);

/// What a refresh token gave.
#[derive(Debug, Clone)]
pub enum Rotation {
    /// The session goes on with this token. A repeat by the same request gives the same one.
    Next { session: Session, token: SecretString },
    /// It had been used before: whoever comes second, its session has ended, and with it all its tokens.
    Reused(SessionId),
    /// It is none of ours, or its session has ended.
    Unknown,
}

impl Sessions {
    /// Replaces a refresh token. `request` is what only the client that asks knows: the idempotency key of its request.
    pub async fn refresh(&self, token: &str, request: Option<&str>) -> Result<Rotation, StoreError> {
        let Some(token) = TokenText::parse(token) else { return Ok(Rotation::Unknown) };
        let (now, request) = (self.clock.now(), request.map(hashed));
        let tx = self.database.write().await?;
        let Some((link, session)) = found(&tx, &token, Carrier::Tokens, now).await? else {
            return Ok(Rotation::Unknown);
        };
        if link.replaced_at.is_some() {
            if let Some(successor) = repeated(&tx, &token, &link, request.as_deref(), now).await? {
                return Ok(Rotation::Next { session, token: successor.text() });
            }
            reused(&tx, now, &session).await?;
            tx.commit().await?;
            return Ok(Rotation::Reused(session.id));
        }
        let seed = seed();
        let successor = token.successor(&seed);
        // The seed of the token before this one led here; it is of no more use.
        let forget = chain::ActiveModel { successor_seed: Set(None), ..chain::ActiveModel::default() };
        let of_session = chain::Column::SessionId.eq(session.id);
        chain::Entity::update_many().set(forget).filter(of_session).exec(tx.connection()).await?;
        let replaced = chain::ActiveModel {
            replaced_at: Set(Some(now)),
            successor_hash: Set(Some(successor.hash())),
            successor_seed: Set(request.is_some().then_some(seed)),
            request_hash: Set(request),
            ..chain::ActiveModel::default()
        };
        let this = chain::Column::Hash.eq(link.hash);
        chain::Entity::update_many().set(replaced).filter(this).exec(tx.connection()).await?;
        add(&tx, &successor, session.id, now).await?;
        let session = used(&tx, &session, now).await?;
        tx.commit().await?;
        Ok(Rotation::Next { session, token: successor.text() })
    }
}

/// The successor, if this is the request that got it, and nobody has used it yet.
async fn repeated(
    tx: &Transaction,
    token: &TokenText,
    link: &chain::Model,
    request: Option<&str>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Option<TokenText>, StoreError> {
    let (Some(asked), Some(first)) = (request, link.request_hash.as_deref()) else { return Ok(None) };
    let (Some(seed), Some(replaced)) = (link.successor_seed.as_deref(), link.replaced_at) else { return Ok(None) };
    let same = bool::from(asked.as_bytes().ct_eq(first.as_bytes()));
    if !same || now >= replaced + REPEATABLE {
        return Ok(None);
    }
    let successor = token.successor(seed);
    let row = chain::Entity::find_by_id(successor.hash()).one(tx.connection()).await?;
    Ok(row.filter(|row| row.replaced_at.is_none()).map(|_| successor))
}
