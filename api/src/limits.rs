//! How often, how many, and for whom: nobody can drown the others, and no crowd the process.
//!
//! Two layers. The outer one guards the process (a rate and a number of requests of its own), and counts by client address,
//! before it is asked who calls. The inner one counts by caller and, per class of routes, by tenant, and lets no tenant have all
//! places. All processes count together, in Redis; while Redis is away the limits of callers and addresses let everybody in,
//! because an enqueue fails then anyway and reading must not, and attempts to sign in are counted by each process for itself.

mod address;
mod bodies;
mod class;
mod fields;
mod layers;
mod local;
mod shares;

use std::net::IpAddr;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, RateLimiter};
use postrider_queue::{Allowance, Draw, QueueClient, RateLimit, RateSubject};
use postrider_shared::actor::Actor;
use postrider_shared::config::{RouteClass, TrafficConfig};
use postrider_shared::ids::TenantId;
use postrider_shared::one_time_codes::CodePurpose;
use postrider_shared::users::Email;
use tokio::sync::Semaphore;

use crate::auth::Caller;
use crate::problem::{Answer, Problem, ProblemType};

pub(crate) use address::counted_as;
pub use address::{ClientAddress, Peer};
pub use bodies::{BodyBounds, BodyClass, LINE_TIME};
pub use class::class_of;
pub use layers::{inner, outer};

use fields::Policy;
use local::Local;
use shares::Shares;

/// How many addresses may spend what one may of the tries to sign in to an account.
const ADDRESSES: u32 = 10;

/// How often one client address may have codes mailed to an address, for each purpose.
const CODES: RateLimit = RateLimit { units: 5, per: Duration::from_hours(1), burst: 5 };

/// How often a tenant may invite the same address.
const INVITATIONS: RateLimit = RateLimit { units: 6, per: Duration::from_hours(1), burst: 5 };

/// How often a tenant may invite whom it likes: enough for a house that begins, too little for who would mail the world.
const INVITATIONS_IN_ALL: RateLimit = RateLimit { units: 200, per: Duration::from_hours(24), burst: 100 };

/// The limits of a process.
pub struct Limits {
    config: TrafficConfig,
    queue: QueueClient,
    process: Option<DefaultDirectRateLimiter>,
    flights: Semaphore,
    shares: Shares,
    sign_ins: Local,
}

/// An answer of Redis, with the names under which its limits are told.
struct Counted {
    policies: Vec<Policy>,
    allowance: Allowance,
}

impl Counted {
    fn refused(&self) -> Option<Problem> {
        let wait = self.allowance.retry_after()?;
        Some(too_many(wait))
    }
}

fn too_many(wait: Duration) -> Problem {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    Problem::new(ProblemType::TooManyRequests, format!("The next call may come in {seconds} s.")).retry_after(wait)
}

impl Limits {
    /// The limits that the settings say.
    pub fn new(config: TrafficConfig, queue: QueueClient) -> Self {
        let process = config.process.and_then(local::quota).map(RateLimiter::direct);
        let flights = Semaphore::new(config.requests_in_flight);
        let shares = Shares::of(config.requests_in_flight);
        Self { config, queue, process, flights, shares, sign_ins: Local::default() }
    }

    /// The settings.
    pub fn config(&self) -> &TrafficConfig {
        &self.config
    }

    /// Counts an attempt to sign in to an account of this name, whether it exists or not: to be asked before anything is
    /// looked up, so that the answer is the same for all names. The client's address was counted already, by the layer.
    ///
    /// Each address has tries of its own, so that who guesses at one keeps the owner, who is elsewhere, from nothing. All addresses
    /// together have more of them, and not any number.
    pub async fn sign_in_to(&self, account: &str, ClientAddress(from): ClientAddress) -> Answer<()> {
        let Some(rate) = self.config.rates.sign_in_account else { return Ok(()) };
        let name = format!("account:{}", account.trim().to_lowercase());
        if let Some(from) = from {
            self.strictly(&format!("{name} from:{}", address::counted_as(from)), "sign-in", rate).await?;
        }
        let times = if from.is_some() { ADDRESSES } else { 1 };
        let together =
            RateLimit { units: rate.units.saturating_mul(times), burst: rate.burst.saturating_mul(times), ..rate };
        self.strictly(&name, "sign-in of all", together).await
    }

    /// Counts a stranger's wish for a code, whether the account it is for exists or not. Each address has wishes of its own: an account
    /// gets more codes than one address may ask for, so that who asks for another's keeps the owner, who is elsewhere, from none.
    pub async fn code_for(
        &self,
        account: &Email,
        purpose: CodePurpose,
        ClientAddress(from): ClientAddress,
    ) -> Answer<()> {
        let from = from.map_or_else(String::new, |from| address::counted_as(from).to_string());
        self.strictly(&format!("code:{purpose}:{account} from:{from}"), "codes", CODES).await
    }

    /// Counts an invitation of a tenant, or to run the platform, to an address: it is mailed, and its owner asked for nothing.
    pub async fn invitation_to(&self, tenant: Option<TenantId>, email: &Email) -> Answer<()> {
        let whose = tenant.map_or_else(|| "platform".to_owned(), |tenant| format!("tenant:{tenant}"));
        self.strictly(&whose, &format!("invitations to:{email}"), INVITATIONS).await?;
        match tenant {
            Some(_) => self.strictly(&whose, "invitations", INVITATIONS_IN_ALL).await,
            None => Ok(()),
        }
    }

    /// One limit that holds without Redis, too.
    async fn strictly(&self, name: &str, limit_name: &str, rate: RateLimit) -> Answer<()> {
        let subject = RateSubject::new(name);
        match self.queue.allow(&subject, &[subject.draw(limit_name, rate, 1)]).await {
            Ok(allowance) => allowance.retry_after().map_or(Ok(()), |wait| Err(too_many(wait))),
            Err(error) => {
                tracing::warn!(%error, "attempts to sign in are counted by this process alone");
                self.sign_ins.take(&format!("{limit_name} {name}"), rate).map_err(too_many)
            }
        }
    }

    /// The process itself can take one more.
    fn take_on(&self) -> Answer<()> {
        match &self.process {
            Some(process) if process.check().is_err() => Err(Problem::new(ProblemType::Overloaded, "")),
            _ => Ok(()),
        }
    }

    /// Counts a call of an address; nothing if there is no limit, or no Redis.
    async fn count_address(&self, address: IpAddr) -> Option<Counted> {
        let subject = RateSubject::new(&format!("address:{}", address::counted_as(address)));
        let rate = self.config.rates.address?;
        self.count(&subject, vec![Policy::new("address", rate)], &[subject.draw("address", rate, 1)]).await
    }

    /// Counts an attempt to sign in from an address.
    async fn count_sign_in(&self, address: IpAddr) -> Answer<()> {
        let Some(rate) = self.config.rates.sign_in_address else { return Ok(()) };
        self.strictly(&format!("address:{}", address::counted_as(address)), "sign-in", rate).await
    }

    /// Counts a call of somebody who is known.
    async fn count_caller(&self, caller: &Caller, class: RouteClass) -> Option<Counted> {
        let who = match caller.actor {
            Actor::Key(key) => format!("key:{key}"),
            Actor::User { user, .. } => format!("user:{user}"),
        };
        let tenant = caller.tenant.filter(|_| !caller.is_platform());
        // All limits of a check are of one subject, so a caller in two tenants has a limit in each.
        let subject = RateSubject::new(&tenant.map_or_else(|| who.clone(), |tenant| format!("tenant:{tenant}")));
        let mut policies = Vec::with_capacity(2);
        let mut draws: Vec<Draw> = Vec::with_capacity(2);
        if let Some(rate) = self.config.rates.caller {
            policies.push(Policy::new("caller", rate));
            draws.push(subject.draw(&who, rate, 1));
        }
        if let Some(rate) = tenant.and_then(|tenant| self.config.rates.of(tenant, class)) {
            policies.push(Policy::new(class.name(), rate));
            draws.push(subject.draw(class.name(), rate, 1));
        }
        self.count(&subject, policies, &draws).await
    }

    async fn count(&self, subject: &RateSubject, policies: Vec<Policy>, draws: &[Draw]) -> Option<Counted> {
        if draws.is_empty() {
            return None;
        }
        match self.queue.allow(subject, draws).await {
            Ok(allowance) => Some(Counted { policies, allowance }),
            Err(error) => {
                metrics::counter!("http_rate_limit_unknown_total").increment(1);
                tracing::debug!(%error, "a call was not counted");
                None
            }
        }
    }
}
