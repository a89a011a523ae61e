use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{
    AuditKind, AuditOutcome, AuditedRequest, Watched,
    event::{About, insert},
};
use crate::{
    audit::Happened,
    clock::Clock,
    database::{Database, StoreError},
    ids::{TenantId, UserId},
    requests,
};

tokio::task_local! {
    static CURRENT: Arc<Recorder>;
}

/// Writes the rows of one request.
pub struct Recorder {
    request: AuditedRequest,
    clock: Clock,
    /// Every change is recorded, or only what is watched or said.
    all: bool,
    written: AtomicBool,
    known: Mutex<Option<(UserId, Option<TenantId>)>>,
    claimed: Mutex<Option<UserId>>,
}

/// Something that a transaction does and its rows do not show.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub kind: AuditKind,
    pub outcome: AuditOutcome,
    /// What it is about.
    pub subject: Option<String>,
    /// Whom it is about: the tenants that they work for see it.
    pub user: Option<UserId>,
    /// In whose log it stands; `None`: where the request's events stand.
    pub tenant: Option<TenantId>,
    /// What is so from now on.
    pub after: Option<serde_json::Value>,
}

impl Said {
    /// Of what is about a person, and stands in the logs of the tenants that they work for.
    pub(crate) fn of(kind: AuditKind, outcome: AuditOutcome, user: UserId) -> Self {
        Self { kind, outcome, subject: Some(user.to_string()), user: Some(user), tenant: None, after: None }
    }
}

/// Runs a request whose changes are recorded: each in its transaction.
pub fn within<F: Future>(recorder: Arc<Recorder>, request: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(recorder, request)
}

/// What the request that this task serves does in another task: it is recorded as done here.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let recorder = current();
    async move {
        match recorder {
            Some(recorder) => within(recorder, work).await,
            None => work.await,
        }
    }
}

/// The recorder of the request that this task serves.
pub(crate) fn current() -> Option<Arc<Recorder>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// The stranger who asks is this person; what is recorded from now on is theirs, and in the log of this tenant or, without one, of all
/// that they work for.
pub fn turns_out_to_be(user: UserId, tenant: Option<TenantId>) {
    if let Some(recorder) = current() {
        *recorder.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((user, tenant));
    }
}

/// The stranger who asks says to be this person, which is not proven.
pub fn claims_to_be(user: UserId) {
    if let Some(recorder) = current() {
        *recorder.claimed.lock().unwrap_or_else(PoisonError::into_inner) = Some(user);
    }
}

/// Writes what is to be committed with `tx`. The recorder is to be [told](Recorder::committed) when it is.
pub(crate) async fn record(
    tx: &sea_orm::DatabaseTransaction,
    watched: &[Box<dyn Watched>],
    said: Vec<Said>,
) -> Result<Option<Arc<Recorder>>, StoreError> {
    let Some(recorder) = current() else { return Ok(None) };
    let mut happened = Vec::new();
    for watched in watched {
        if let Some(difference) = watched.difference(tx).await? {
            let mut about = recorder.about(AuditKind::Change, AuditOutcome::Done);
            about.subject = difference.row;
            (about.before, about.happened.after) = (difference.before, difference.after);
            happened.push(about);
        }
    }
    for said in said {
        let mut about = recorder.about(said.kind, said.outcome);
        (about.subject, about.happened.after) = (said.subject, said.after);
        about.happened.user = about.happened.user.or(said.user);
        about.happened.request.tenant = said.tenant.or(about.happened.request.tenant);
        happened.push(about);
    }
    if happened.is_empty() && (!recorder.all || recorder.written.load(Ordering::Relaxed)) {
        return Ok(None);
    }
    if happened.is_empty() {
        happened.push(recorder.about(AuditKind::Change, AuditOutcome::Done));
    }
    for about in happened {
        insert(tx, about).await?;
    }
    Ok(Some(recorder))
}

impl Recorder {
    /// Every transaction of the request leaves a row: one for each watched row that differs, else one for the first of them.
    pub fn new(request: AuditedRequest, clock: Clock) -> Arc<Self> {
        Self::made(request, clock, true)
    }

    /// Of somebody who may turn out to be nobody: only what is watched or said leaves a row.
    pub fn of_what_is_said(request: AuditedRequest, clock: Clock) -> Arc<Self> {
        Self::made(request, clock, false)
    }

    fn made(request: AuditedRequest, clock: Clock, all: bool) -> Arc<Self> {
        Arc::new(Self {
            request,
            clock,
            all,
            written: AtomicBool::new(false),
            known: Mutex::default(),
            claimed: Mutex::default(),
        })
    }

    /// Whether the request left a row.
    pub fn has_written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
    }

    /// Who the stranger said to be.
    pub fn claimed(&self) -> Option<UserId> {
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn committed(&self) {
        self.written.store(true, Ordering::Relaxed);
    }

    /// Writes the row in a transaction of its own: of somebody who sees something, before it is handed out; of a change outside the
    /// database, before it is begun.
    pub async fn write(&self, database: &Database, kind: AuditKind, outcome: AuditOutcome) -> Result<(), StoreError> {
        let tx = database.write().await?;
        insert(tx.connection(), self.about(kind, outcome)).await?;
        // The request itself has changed nothing yet.
        requests::aside(tx.commit()).await
    }

    fn about(&self, kind: AuditKind, outcome: AuditOutcome) -> About {
        let mut request = self.request.clone();
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((user, tenant)) = known {
            request.actor = super::AuditActor::User(user);
            request.tenant = request.tenant.or(tenant);
        }
        let happened = Happened {
            request,
            at: self.clock.now(),
            kind,
            outcome,
            user: known.map(|(user, _)| user),
            times: 1,
            after: None,
        };
        About::from(happened)
    }
}
