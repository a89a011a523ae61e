use chrono::TimeDelta;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use secrecy::SecretString;

use super::{
    Carrier, Session, Sessions, chain,
    store::{add, found, reused, used},
    token::TokenText,
};
use crate::{database::StoreError, ids::SessionId};

/// How old a cookie gets before it is replaced.
const REPLACED_AFTER: TimeDelta = TimeDelta::minutes(15);
/// How long a replaced one is taken for a request that was on its way.
const ON_ITS_WAY: TimeDelta = TimeDelta::minutes(1);

/// What a cookie gave.
#[derive(Debug, Clone)]
pub enum Recognised {
    /// The session, and the next cookie if it is time for one.
    Live { session: Session, next: Option<SecretString> },
    /// It was replaced, and its successor used: the session has ended.
    Reused(SessionId),
    /// It is none of ours, or its session has ended.
    Unknown,
}

impl Sessions {
    /// The session that a cookie carries.
    pub async fn recognise(&self, cookie: &str) -> Result<Recognised, StoreError> {
        let Some(token) = TokenText::parse(cookie) else { return Ok(Recognised::Unknown) };
        let now = self.clock.now();
        let reader = self.database.reader();
        let Some(link) = chain::Entity::find_by_id(token.hash()).one(reader).await? else {
            return Ok(Recognised::Unknown);
        };
        let young = link.replaced_at.is_none() && now < link.created_at + REPLACED_AFTER && link.seen_at.is_some();
        if young {
            let session = self.live(link.session_id).await?.filter(|session| session.carrier == Carrier::Cookie);
            return Ok(session.map_or(Recognised::Unknown, |session| Recognised::Live { session, next: None }));
        }
        self.step(&token).await
    }

    /// The cases that change something: a cookie is seen for the first time, is old, or was replaced.
    async fn step(&self, token: &TokenText) -> Result<Recognised, StoreError> {
        let now = self.clock.now();
        let tx = self.database.write().await?;
        let Some((link, session)) = found(&tx, token, Carrier::Cookie, now).await? else {
            return Ok(Recognised::Unknown);
        };
        if let Some(replaced) = link.replaced_at {
            if now < replaced + ON_ITS_WAY {
                return Ok(Recognised::Live { session, next: None });
            }
            let successor = link.successor_hash.clone().unwrap_or_default();
            let successor = chain::Entity::find_by_id(successor).one(tx.connection()).await?;
            if successor.is_some_and(|row| row.seen_at.is_some()) {
                reused(&tx, now, &session).await?;
                tx.commit().await?;
                return Ok(Recognised::Reused(session.id));
            }
            // The browser never got the successor: that one is void, and this one gets another.
            let lost = chain::Column::Hash.eq(link.successor_hash.clone());
            chain::Entity::delete_many().filter(lost).exec(tx.connection()).await?;
        }
        let old = now >= link.created_at + REPLACED_AFTER;
        let next = old.then(TokenText::random);
        let mut changes =
            chain::ActiveModel { seen_at: Set(link.seen_at.or(Some(now))), ..chain::ActiveModel::default() };
        if let Some(next) = &next {
            changes.replaced_at = Set(Some(now));
            changes.successor_hash = Set(Some(next.hash()));
            add(&tx, next, session.id, now).await?;
        }
        let this = chain::Column::Hash.eq(link.hash);
        chain::Entity::update_many().set(changes).filter(this).exec(tx.connection()).await?;
        let session = used(&tx, &session, now).await?;
        tx.commit().await?;
        Ok(Recognised::Live { session, next: next.map(|next| next.text()) })
    }
}
