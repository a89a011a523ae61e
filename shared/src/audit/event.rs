//! One event on its way into the table.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, IntoActiveModel, Statement,
    sea_query::OnConflict,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    AuditEvent, AuditKind, AuditOutcome,
    row::{Column, Entity},
};
use crate::{
    actor::Actor,
    database::StoreError,
    ids::{ApiKeyId, TenantId, UserId},
};

/// In how many tenants' logs an event about one person stands at most.
const TENANTS: usize = 20;

/// Who did something, as the audit log tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditActor {
    /// A program, by its key.
    Key(ApiKeyId),
    /// A person who is signed in, or just signed in.
    User(UserId),
    /// Somebody who is not signed in.
    Stranger,
    /// A customer of a tenant's, by the link in a mail.
    Customer,
    /// The product itself.
    System,
}

impl From<Actor> for AuditActor {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::Key(key) => Self::Key(key),
            Actor::User { user, .. } => Self::User(user),
        }
    }
}

/// A request that leaves a row.
#[derive(Debug, Clone)]
pub struct AuditedRequest {
    pub actor: AuditActor,
    pub tenant: Option<TenantId>,
    pub request_id: String,
    pub ip: Option<IpAddr>,
    /// The operation's id in the OpenAPI document.
    pub operation: String,
    /// What it is done to, as in the path.
    pub resource: String,
    pub subject_id: Option<String>,
}

/// What happened, without what it changed.
#[derive(Debug, Clone)]
pub struct Happened {
    pub request: AuditedRequest,
    pub at: DateTime<Utc>,
    pub kind: AuditKind,
    pub outcome: AuditOutcome,
    /// Whom it is about, if that is a person: without a tenant of the request's, it stands in the log of each tenant that they work for.
    pub user: Option<UserId>,
    /// How many times.
    pub times: u32,
    /// What is so from now on.
    pub after: Option<Value>,
}

/// What happened, to what, and what is different.
pub(super) struct About {
    pub happened: Happened,
    pub subject: Option<String>,
    pub before: Option<Value>,
    /// Its id, if it is to be there once; a random one if not.
    pub id: Option<Uuid>,
}

impl From<Happened> for About {
    fn from(happened: Happened) -> Self {
        Self { happened, subject: None, before: None, id: None }
    }
}

/// Writes it: once, or once for each tenant that it concerns.
pub(super) async fn insert(tx: &DatabaseTransaction, about: About) -> Result<(), StoreError> {
    let Happened { request, at, kind, outcome, user, times, after } = about.happened;
    let (actor_kind, actor_id) = match request.actor {
        AuditActor::Key(key) => ("key", Some(key.0)),
        AuditActor::User(user) => ("user", Some(user.0)),
        AuditActor::Stranger => ("stranger", None),
        AuditActor::Customer => ("customer", None),
        AuditActor::System => ("system", None),
    };
    let event = AuditEvent {
        id: Uuid::nil(),
        at,
        tenant_id: None,
        actor_kind: actor_kind.to_owned(),
        actor_id,
        actor_name: name(tx, request.actor).await?,
        request_id: request.request_id,
        ip: request.ip.map(|ip| ip.to_string()),
        operation: request.operation,
        kind,
        resource: request.resource,
        subject_id: request.subject_id.or(about.subject).or(user.map(|user| user.to_string())),
        before: about.before.map(|json| json.to_string()),
        after: after.map(|json| json.to_string()),
        outcome,
        times: i32::try_from(times).unwrap_or(i32::MAX),
    };
    let tenants = match (request.tenant, user) {
        (None, Some(user)) => tenants_of(tx, user).await?,
        (tenant, _) => vec![tenant],
    };
    for tenant_id in tenants {
        let id = about.id.unwrap_or_else(Uuid::now_v7);
        let row = Entity::insert(AuditEvent { id, tenant_id, ..event.clone() }.into_active_model());
        let once = OnConflict::column(Column::Id).do_nothing().to_owned();
        row.on_conflict(once).exec_without_returning(tx).await?;
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct WorksFor {
    tenant_id: TenantId,
}

/// For whom a person works; nobody but the platform, if for nobody.
async fn tenants_of(tx: &DatabaseTransaction, user: UserId) -> Result<Vec<Option<TenantId>>, StoreError> {
    let sql = format!("SELECT tenant_id FROM memberships WHERE user_id = $1 ORDER BY created_at LIMIT {TENANTS}");
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, [user.0.into()]);
    let found = WorksFor::find_by_statement(statement).all(tx).await?;
    if found.is_empty() {
        return Ok(vec![None]);
    }
    Ok(found.into_iter().map(|found| Some(found.tenant_id)).collect())
}

#[derive(FromQueryResult)]
struct Named {
    name: String,
    prefix: String,
}

/// What the actor is called at this moment; it may be renamed or removed later.
async fn name(tx: &DatabaseTransaction, actor: AuditActor) -> Result<Option<String>, StoreError> {
    let backend = tx.get_database_backend();
    let (sql, id, mark) = match actor {
        AuditActor::Key(key) => ("SELECT name, prefix FROM api_keys WHERE id = $1", key.0, "pr_"),
        AuditActor::User(user) => ("SELECT name, email AS prefix FROM users WHERE id = $1", user.0, ""),
        AuditActor::Stranger | AuditActor::Customer | AuditActor::System => return Ok(None),
    };
    let found = Named::find_by_statement(Statement::from_sql_and_values(backend, sql, [id.into()])).one(tx).await?;
    Ok(found.map(|found| format!("{} ({mark}{})", found.name, found.prefix)))
}
