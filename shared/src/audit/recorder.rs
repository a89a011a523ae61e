use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, IntoActiveModel, Statement};
use uuid::Uuid;

use super::{AuditEvent, AuditKind, AuditOutcome, Watched, row::Entity, watched::Difference};
use crate::{
    actor::Actor,
    clock::Clock,
    database::{Database, StoreError},
    ids::TenantId,
};

tokio::task_local! {
    static CURRENT: Arc<Recorder>;
}

/// A request that leaves a row.
#[derive(Debug, Clone)]
pub struct AuditedRequest {
    pub actor: Actor,
    pub tenant: Option<TenantId>,
    pub request_id: String,
    pub ip: Option<String>,
    /// The operation's id in the OpenAPI document.
    pub operation: String,
    /// What it is done to, as in the path.
    pub resource: String,
    pub subject_id: Option<String>,
}

/// Writes the rows of one request.
pub struct Recorder {
    request: AuditedRequest,
    clock: Clock,
    written: AtomicBool,
}

/// Runs a request whose changes are recorded: each in its transaction.
pub async fn within<F: Future>(recorder: Arc<Recorder>, request: F) -> F::Output {
    CURRENT.scope(recorder, request).await
}

/// The recorder of the request that this task serves.
pub(crate) fn current() -> Option<Arc<Recorder>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Writes what is to be committed with `tx`. The recorder is to be [told](Recorder::committed) when it is.
pub(crate) async fn record(
    tx: &DatabaseTransaction,
    watched: &[Box<dyn Watched>],
) -> Result<Option<Arc<Recorder>>, StoreError> {
    let Some(recorder) = current() else { return Ok(None) };
    let mut differences = Vec::new();
    for watched in watched {
        differences.extend(watched.difference(tx).await?);
    }
    if differences.is_empty() && recorder.written.load(Ordering::Relaxed) {
        return Ok(None);
    }
    if differences.is_empty() {
        recorder.insert(tx, AuditKind::Change, AuditOutcome::Done, None).await?;
    }
    for difference in differences {
        recorder.insert(tx, AuditKind::Change, AuditOutcome::Done, Some(difference)).await?;
    }
    Ok(Some(recorder))
}

impl Recorder {
    pub fn new(request: AuditedRequest, clock: Clock) -> Arc<Self> {
        Arc::new(Self { request, clock, written: AtomicBool::new(false) })
    }

    pub(crate) fn committed(&self) {
        self.written.store(true, Ordering::Relaxed);
    }

    /// Writes the row in a transaction of its own: of somebody who sees something, before it is handed out; of a change outside the
    /// database, before it is begun.
    pub async fn write(&self, database: &Database, kind: AuditKind, outcome: AuditOutcome) -> Result<(), StoreError> {
        let tx = database.write().await?;
        self.insert(tx.connection(), kind, outcome, None).await?;
        tx.commit().await
    }

    async fn insert(
        &self,
        tx: &DatabaseTransaction,
        kind: AuditKind,
        outcome: AuditOutcome,
        difference: Option<Difference>,
    ) -> Result<(), StoreError> {
        let request = &self.request;
        let (actor_kind, actor_id) = match request.actor {
            Actor::Key(key) => ("key", key.0),
            Actor::User { user, .. } => ("user", user.0),
        };
        let (row, before, after) =
            difference.map_or((None, None, None), |found| (found.row, found.before, found.after));
        let event = AuditEvent {
            id: Uuid::now_v7(),
            at: self.clock.now(),
            tenant_id: request.tenant,
            actor_kind: actor_kind.to_owned(),
            actor_id,
            actor_name: name(tx, request.actor).await?,
            request_id: request.request_id.clone(),
            ip: request.ip.clone(),
            operation: request.operation.clone(),
            kind,
            resource: request.resource.clone(),
            subject_id: request.subject_id.clone().or(row),
            before: before.map(|json| json.to_string()),
            after: after.map(|json| json.to_string()),
            outcome,
        };
        Entity::insert(event.into_active_model()).exec_without_returning(tx).await?;
        Ok(())
    }
}

#[derive(FromQueryResult)]
struct Named {
    name: String,
    prefix: String,
}

/// What the actor is called at this moment; it may be renamed or removed later.
async fn name(tx: &DatabaseTransaction, actor: Actor) -> Result<Option<String>, StoreError> {
    let backend = tx.get_database_backend();
    let (sql, id) = match actor {
        Actor::Key(key) => ("SELECT name, prefix FROM api_keys WHERE id = $1", key.0),
        Actor::User { user, .. } => ("SELECT name, email AS prefix FROM users WHERE id = $1", user.0),
    };
    let found = Named::find_by_statement(Statement::from_sql_and_values(backend, sql, [id.into()])).one(tx).await?;
    Ok(found.map(|found| match actor {
        Actor::Key(_) => format!("{} (pr_{})", found.name, found.prefix),
        Actor::User { .. } => format!("{} ({})", found.name, found.prefix),
    }))
}
