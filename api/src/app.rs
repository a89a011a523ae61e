//! What the handlers work with, built once in `main`.

use std::sync::Arc;
use std::time::Duration;

use postrider_queue::QueueClient;
use postrider_shared::clock::Clock;
use postrider_shared::config::{ConsentConfig, IssuersConfig, LimitsConfig, Registration, TrafficConfig};
use postrider_shared::database::Database;
use postrider_shared::dead_letters::Redriver;
use postrider_shared::egress::Egress;
use postrider_shared::ids::{OutboxId, TenantId};
use postrider_shared::objects::Objects;
use postrider_shared::outbox::Relay;
use postrider_shared::payloads::Payloads;
use postrider_shared::scopes::Scopes;
use postrider_shared::seal::KeyRing;
use postrider_shared::stores::Stores;
use postrider_shared::telemetry::PrometheusHandle;
use postrider_shared::tenants::Pauses;
use postrider_shared::users::Passwords;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::tally::Tally;
use crate::auth::people::People;
use crate::gauges::Gauges;
use crate::health::Dependencies;
use crate::limits::Limits;
use crate::together::Together;

/// Longest a request waits for the queue after its own work is safe in the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everything a request may touch. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Built>);

struct Built {
    parts: Parts,
    stores: Stores,
    payloads: Payloads,
    redriver: Redriver,
    relay: Relay,
    pauses: Pauses,
    scopes: Scopes,
    tasks: TaskTracker,
    gauges: Gauges,
    readiness: Together<Dependencies>,
    limits: Limits,
    passwords: Passwords,
    people: People,
    tally: Tally,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// The database.
    pub database: Database,
    /// The queue.
    pub queue: QueueClient,
    /// Raw mail, PDFs, large payloads.
    pub objects: Objects,
    /// Largest payload of a job, in bytes.
    pub payload_limit: usize,
    /// How often and how much may be called.
    pub traffic: TrafficConfig,
    /// Whether strangers may register.
    pub registration: Registration,
    /// With whose tokens people may sign in.
    pub issuers: IssuersConfig,
    /// Where mail servers of accounts may be.
    pub egress: Egress,
    /// The time.
    pub clock: Clock,
    /// What seals passwords.
    pub keys: KeyRing,
    /// How owners of Google accounts are asked for consent; absent where there are none.
    pub consent: Option<ConsentConfig>,
    /// Renders `/metrics`; absent where nobody measures.
    pub metrics: Option<PrometheusHandle>,
    /// What accounts and tenants may use.
    pub quotas: LimitsConfig,
    /// Cancelled when the process stops, so that nobody waits for a job any longer.
    pub stopping: CancellationToken,
}

impl App {
    /// The application out of its parts.
    pub fn new(parts: Parts) -> Self {
        let stores = Stores::new(&parts.database, &parts.clock, Some(parts.keys.clone()));
        let (accounts, messages) = (stores.accounts.clone(), stores.messages.clone());
        let scopes =
            Scopes::new(accounts, messages, parts.queue.clone(), parts.clock.clone()).with_limits(parts.quotas);
        Self(Arc::new(Built {
            payloads: Payloads::new(parts.database.clone(), parts.objects.clone(), parts.clock.clone()),
            redriver: Redriver::new(stores.dead_letters.clone(), parts.queue.clone()).with_scopes(scopes.clone()),
            relay: Relay::new(stores.outbox.clone(), parts.queue.clone()),
            pauses: Pauses::new(stores.tenants.clone(), parts.queue.clone()),
            scopes,
            tasks: TaskTracker::new(),
            gauges: Gauges::default(),
            readiness: Together::default(),
            limits: Limits::new(parts.traffic.clone(), parts.queue.clone()),
            passwords: Passwords::new(),
            people: People::default(),
            tally: Tally::default(),
            stores,
            parts,
        }))
    }

    /// How often and how much may be called.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The tables.
    pub fn stores(&self) -> &Stores {
        &self.0.stores
    }

    /// Hashes passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Refusals, and what strangers ask for, counted.
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// Whose sessions are live.
    pub fn people(&self) -> &People {
        &self.0.people
    }

    /// Whether strangers may register.
    pub fn registration(&self) -> Registration {
        self.0.parts.registration
    }

    /// With whose tokens people may sign in.
    pub fn issuers(&self) -> &IssuersConfig {
        &self.0.parts.issuers
    }

    /// Where mail servers of accounts may be.
    pub fn egress(&self) -> &Egress {
        &self.0.parts.egress
    }

    /// How owners of Google accounts are asked for consent.
    pub fn consent(&self) -> Option<&ConsentConfig> {
        self.0.parts.consent.as_ref()
    }

    /// Payloads too large for the queue.
    pub fn payloads(&self) -> &Payloads {
        &self.0.payloads
    }

    /// Largest payload of a job, in bytes.
    pub fn payload_limit(&self) -> usize {
        self.0.parts.payload_limit
    }

    /// Enqueues dead letters again.
    pub fn redriver(&self) -> &Redriver {
        &self.0.redriver
    }

    /// Tells the queue what mailboxes may send.
    pub fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// What seals passwords and signs links.
    pub fn keys(&self) -> &KeyRing {
        &self.0.parts.keys
    }

    /// Work that goes on when its caller hangs up; awaited when the process stops.
    pub fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Brings outbox entries to the queue now instead of at the scheduler's next sweep. They are safe in the database, so a
    /// queue that is away delays them and fails nothing.
    pub async fn relay(&self, tenant: TenantId, entries: &[OutboxId]) {
        let relayed = tokio::time::timeout(PATIENCE, self.0.relay.relay(tenant, entries)).await;
        let error = match relayed {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {} s", PATIENCE.as_secs()),
        };
        tracing::warn!(error, "jobs stay in the outbox for the scheduler's sweep");
    }

    /// Tells the queue whether to work for a tenant, now instead of when the scheduler next compares.
    pub async fn apply_pause(&self, tenant: TenantId) {
        let error = match tokio::time::timeout(PATIENCE, self.0.pauses.apply(tenant)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {} s", PATIENCE.as_secs()),
        };
        tracing::warn!(error, tenant.id = %tenant, "the scheduler will tell the queue whether the tenant takes part");
    }

    /// What `/readyz` found last.
    pub fn readiness(&self) -> &Together<Dependencies> {
        &self.0.readiness
    }

    /// The database, for `/readyz`.
    pub fn database(&self) -> &Database {
        &self.0.parts.database
    }

    /// The queue.
    pub fn queue(&self) -> &QueueClient {
        &self.0.parts.queue
    }

    /// Raw mail, PDFs.
    pub fn objects(&self) -> &Objects {
        &self.0.parts.objects
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.0.parts.clock
    }

    /// The text of `/metrics`, with how full the queues are; empty where nobody measures.
    pub async fn metrics(&self) -> String {
        let Some(metrics) = &self.0.parts.metrics else { return String::new() };
        self.0.gauges.refresh(self.queue()).await;
        metrics.render()
    }

    /// Cancelled when the process stops.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.parts.stopping
    }
}
