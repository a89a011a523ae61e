//! What a handler works with: its job, and the process's services.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{Claimed, JobId, JobKind, Lane, NewJob, QueueClient, Stop, Tenant};
use postrider_shared::accounts::{Account, Accounts};
use postrider_shared::attachments::Attachments;
use postrider_shared::audit::AuditEvents;
use postrider_shared::clock::Clock;
use postrider_shared::config::LimitsConfig;
use postrider_shared::dead_letters::{DeadLetters, Redriver};
use postrider_shared::google::{Consents, Grants};
use postrider_shared::ids::TenantId;
use postrider_shared::invitations::Invitations;
use postrider_shared::key_sets::KeySets;
use postrider_shared::mail::Mail;
use postrider_shared::messages::Messages;
use postrider_shared::notices::Notices;
use postrider_shared::objects::Objects;
use postrider_shared::one_time_codes::OneTimeCodes;
use postrider_shared::outbox::Relay;
use postrider_shared::products::Products;
use postrider_shared::quotes::Quotes;
use postrider_shared::scopes::{ScopeError, Scopes};
use postrider_shared::secrets::Secrets;
use postrider_shared::stores::Stores;
use postrider_shared::tenants::Tenants;
use postrider_shared::watches::Watches;
use serde::de::DeserializeOwned;

use crate::access::AccessTokens;
use crate::documents::{Documents, Scanner};
use crate::lease::JobLease;
use crate::links::Links;
use crate::memory::Memory;
use crate::providers::Classed;
use crate::providers::gmail::Gmail;
use crate::providers::google::Google;
use crate::providers::llm::Llm;
use crate::providers::oidc::Oidc;
use crate::providers::transport::Dialer;
use crate::run_ledger::RunLedger;
use crate::system_mail::SystemMail;

/// Memory that large mails may take up together, in megabytes.
const MAIL_MEMORY: u32 = 256;
/// Where nothing else is said.
const MAILBOX_CONNECTIONS: u32 = 3;
/// How soon to look whether an operator has mended the settings.
const OPERATOR_PAUSE: TimeDelta = TimeDelta::minutes(1);

/// Built once in `main`, shared by all jobs.
#[derive(Clone)]
pub struct Services {
    pub queue: QueueClient,
    pub relay: Relay,
    pub scopes: Scopes,
    pub tenants: Tenants,
    pub accounts: Accounts,
    pub products: Products,
    pub mail: Mail,
    pub attachments: Attachments,
    pub quotes: Quotes,
    pub messages: Messages,
    pub dead_letters: DeadLetters,
    pub audit: AuditEvents,
    pub redriver: Redriver,
    pub watches: Watches,
    pub one_time_codes: OneTimeCodes,
    pub invitations: Invitations,
    pub notices: Notices,
    /// Sends codes, invitations and notices; absent without `SYSTEM_SMTP_SERVER`, and then these wait.
    pub system_mail: Option<SystemMail>,
    pub secrets: Secrets,
    pub key_sets: KeySets,
    /// What fetches them; absent where nobody signs in from elsewhere.
    pub oidc: Option<Arc<Oidc>>,
    pub objects: Objects,
    pub mail_memory: Memory,
    pub documents: Documents,
    /// Asked before a stranger's file is kept or read.
    pub scanner: Scanner,
    /// Whether the language model is shown pictures.
    pub sees_pictures: bool,
    pub llm: Arc<Llm>,
    /// Google's OAuth endpoints; absent where there are no Google accounts.
    pub google: Option<Arc<Google>>,
    /// The Gmail API; absent where there are no Google accounts.
    pub gmail: Option<Gmail>,
    pub grants: Grants,
    pub consents: Consents,
    /// What logs in to mailboxes of Google accounts.
    pub access_tokens: AccessTokens,
    /// How many connections to one mailbox all workers together have open at once.
    pub mailbox_connections: u32,
    /// How mail servers are met.
    pub dialer: Dialer,
    pub run_ledger: Arc<RunLedger>,
    /// Absent where customers reach no API.
    pub links: Option<Links>,
    pub clock: Clock,
}

impl Services {
    pub fn new(queue: QueueClient, stores: Stores, objects: Objects, llm: Llm, clock: Clock) -> Self {
        let scopes = Scopes::new(stores.accounts.clone(), stores.messages.clone(), queue.clone(), clock.clone());
        let access_tokens = AccessTokens::new(stores.grants.clone(), scopes.clone(), None, clock.clone());
        let redriver = Redriver::new(stores.dead_letters.clone(), queue.clone()).with_scopes(scopes.clone());
        Self {
            relay: Relay::new(stores.outbox, queue.clone()),
            scopes,
            google: None,
            gmail: None,
            grants: stores.grants,
            consents: stores.consents,
            access_tokens,
            tenants: stores.tenants,
            accounts: stores.accounts,
            products: stores.products,
            mail: stores.mail,
            attachments: stores.attachments,
            quotes: stores.quotes,
            messages: stores.messages,
            redriver,
            dead_letters: stores.dead_letters,
            audit: stores.audit,
            watches: stores.watches,
            one_time_codes: stores.one_time_codes,
            invitations: stores.invitations,
            notices: stores.notices,
            system_mail: None,
            secrets: stores.secrets,
            key_sets: stores.key_sets,
            oidc: None,
            mail_memory: Memory::new(MAIL_MEMORY),
            documents: Documents::default(),
            scanner: Scanner::default(),
            sees_pictures: false,
            llm: Arc::new(llm),
            mailbox_connections: MAILBOX_CONNECTIONS,
            dialer: Dialer::default(),
            run_ledger: Arc::new(RunLedger::default()),
            links: None,
            queue,
            objects,
            clock,
        }
    }

    /// Another trust in mail servers, or another patience with them, than the default.
    #[must_use]
    pub fn with_dialer(mut self, dialer: Dialer) -> Self {
        self.dialer = dialer;
        self
    }

    /// At most so many connections to one mailbox at once.
    #[must_use]
    pub fn with_mailbox_connections(mut self, most: u32) -> Self {
        self.mailbox_connections = most;
        self
    }

    /// What accounts and tenants may use; to be said before [`with_google`](Self::with_google).
    #[must_use]
    pub fn with_limits(mut self, limits: LimitsConfig) -> Self {
        self.scopes = self.scopes.with_limits(limits);
        self.redriver = self.redriver.with_scopes(self.scopes.clone());
        self
    }

    /// Renews tokens of Google accounts there.
    #[must_use]
    pub fn with_google(mut self, google: Google) -> Self {
        let google = Arc::new(google);
        let (grants, scopes, clock) = (self.grants.clone(), self.scopes.clone(), self.clock.clone());
        self.access_tokens = AccessTokens::new(grants, scopes, Some(Arc::clone(&google)), clock);
        self.google = Some(google);
        self
    }

    /// Sends through the Gmail API.
    #[must_use]
    pub fn with_gmail(mut self, gmail: Gmail) -> Self {
        self.gmail = Some(gmail);
        self
    }

    /// Has files scanned, and pictures shown to the model.
    #[must_use]
    pub fn with_files(mut self, scanner: Scanner, sees_pictures: bool) -> Self {
        self.scanner = scanner;
        self.sees_pictures = sees_pictures;
        self
    }

    /// Puts links to public pages into mails.
    #[must_use]
    pub fn with_links(mut self, links: Option<Links>) -> Self {
        self.links = links;
        self
    }

    /// Mails codes, invitations and notices.
    #[must_use]
    pub fn with_system_mail(mut self, mail: Option<SystemMail>) -> Self {
        self.system_mail = mail;
        self
    }

    /// Fetches the keys of issuers of ID tokens.
    #[must_use]
    pub fn with_oidc(mut self, oidc: Oidc) -> Self {
        self.oidc = Some(Arc::new(oidc));
        self
    }

    /// Has diagnostic jobs note their runs.
    #[must_use]
    pub fn with_run_ledger(mut self, ledger: RunLedger) -> Self {
        self.run_ledger = Arc::new(ledger);
        self
    }

    /// Stops a mailbox until a person looks at it: nothing of it is read, and its messages wait without burning
    /// attempts.
    pub async fn pause_account(&self, account: &Account, error: &impl Classed) -> Result<(), Stop> {
        tracing::error!(account.id = %account.id, error.class = error.class(), "mailbox paused");
        let paused = self.accounts.pause(account.tenant_id, account.id, &error.to_string()).await?;
        self.define_scope(&paused).await
    }

    pub(crate) async fn define_scope(&self, account: &Account) -> Result<(), Stop> {
        self.scopes.define(account).await.map_err(|error| match error {
            ScopeError::Store(error) => error.into(),
            ScopeError::Queue(error) => error.into(),
        })
    }
}

/// The job in hand.
#[derive(Debug, Clone)]
pub struct JobContext {
    pub id: JobId,
    pub tenant: Tenant,
    pub kind: JobKind,
    /// Whose scopes hold for this run, whatever the payload says.
    pub lane: Lane,
    /// The first attempt is 1.
    pub attempt: u32,
    pub max_attempts: u32,
    /// How often it put itself off.
    pub snoozes: u32,
    /// Its cap unit was reserved for an earlier run, which did not end by itself and may have used it.
    pub inherits_units: bool,
    pub enqueued_at: DateTime<Utc>,
    pub claimed_at: DateTime<Utc>,
    pub(crate) lease: JobLease,
}

impl JobContext {
    pub(crate) fn of(claimed: &Claimed) -> Self {
        Self {
            id: claimed.id,
            tenant: claimed.tenant.clone(),
            kind: claimed.kind.clone(),
            lane: claimed.lane.clone(),
            attempt: claimed.attempt,
            max_attempts: claimed.max_attempts,
            snoozes: claimed.snoozes,
            inherits_units: claimed.inherits_units,
            enqueued_at: claimed.enqueued_at,
            claimed_at: claimed.claimed_at,
            lease: JobLease::Own(claimed.lease.clone()),
        }
    }
}

/// Handed to every run of a handler.
#[derive(Clone)]
pub struct Context {
    pub job: JobContext,
    services: Arc<Services>,
}

impl Deref for Context {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}

impl Context {
    pub(crate) fn new(job: JobContext, services: Arc<Services>) -> Self {
        Self { job, services }
    }

    /// The business whose job this is. Jobs of the engine's own tests may belong to none.
    pub fn tenant(&self) -> Result<TenantId, Stop> {
        let text = self.job.tenant.as_str();
        text.parse().map_err(|error| Stop::fail(format_args!("the job belongs to no business: {error}")))
    }

    /// Between two steps: ends the run if somebody cancelled the job or another worker may have it.
    pub fn go_on(&self) -> Result<(), Stop> {
        if self.job.lease.lost() {
            return Err(Stop::retry("the lease was lost"));
        }
        if self.job.lease.cancelled() {
            return Err(Stop::Cancelled);
        }
        Ok(())
    }

    /// Whether the job is certainly still ours for this long, by the monotonic clock: asked before a step that
    /// cannot be undone.
    pub fn holds_for(&self, margin: Duration) -> bool {
        !self.job.lease.lost() && self.job.lease.remaining() > margin
    }

    /// Ends when the job was cancelled or lost, with what the handler should end with.
    pub async fn interrupted(&self) -> Stop {
        self.job.lease.interrupted().await;
        self.go_on().err().unwrap_or(Stop::Cancelled)
    }

    /// Tells whoever watches the job how far it is. Nothing depends on it, so a failure is only noted.
    pub async fn progress(&self, progress: serde_json::Value) {
        self.job.lease.progress(progress).await;
    }

    /// What an earlier run of this job, which was cut off, said last; `None` if it said nothing of this shape.
    pub async fn earlier_progress<T: DeserializeOwned>(&self) -> Result<Option<T>, Stop> {
        let record = self.queue.get(self.job.id).await?;
        Ok(record.and_then(|record| record.progress).and_then(|said| serde_json::from_value(said).ok()))
    }

    /// Writes a line into the job's log, for whoever looks at the job. Nothing depends on it, so a failure is only noted.
    pub async fn log(&self, line: impl Into<String>) {
        self.job.lease.log(line.into()).await;
    }

    /// Google, where it is configured. Where it is not, what was begun elsewhere waits for an operator.
    pub fn google(&self) -> Result<&Google, Stop> {
        let until = self.clock.now() + OPERATOR_PAUSE;
        self.google.as_deref().ok_or_else(|| Stop::snooze(until, "GOOGLE_CLIENT_ID is not set at this worker"))
    }

    /// What mails codes, invitations and notices, where it is configured. Where it is not, these wait for an operator.
    pub(crate) fn system_mail(&self) -> Result<&SystemMail, Stop> {
        let missing = || self.until_an_operator_looks("SYSTEM_SMTP_SERVER is not set at this worker");
        self.system_mail.as_ref().ok_or_else(missing)
    }

    /// Puts the job off until an operator may have mended the settings.
    pub(crate) fn until_an_operator_looks(&self, why: impl std::fmt::Display) -> Stop {
        Stop::snooze(self.clock.now() + OPERATOR_PAUSE, why)
    }

    /// Sends nothing more from a mailbox until then: its provider takes no more. Its messages wait in their lanes, so that they do
    /// not ask in turn.
    pub async fn limit_account(
        &self,
        account: &Account,
        until: DateTime<Utc>,
        error: &impl Classed,
    ) -> Result<(), Stop> {
        tracing::warn!(account.id = %account.id, %until, error.class = error.class(), "nothing more is sent from the mailbox until then");
        let limited = self.accounts.limit(account.tenant_id, account.id, until).await?;
        self.define_scope(&limited).await
    }

    /// A follow-up of this job's tenant. Its id follows from the parts, so a repeat does not make a second one.
    pub fn follow_up<J: postrider_queue::Job>(&self, job: &J, parts: &[&str]) -> Result<NewJob, Stop> {
        let tenant = self.job.tenant.clone();
        let id = self.queue.derived_job_id(&tenant, parts);
        Ok(NewJob::of(tenant, job)?.with_id(id))
    }
}
