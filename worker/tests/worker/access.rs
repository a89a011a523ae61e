//! Access tokens of Google accounts: one call to the token endpoint for one expiry, whatever happens around it.

use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use postrider_sandbox::google::{Orders, Trouble};
use postrider_shared::accounts::{Account, AccountState};
use postrider_shared::clock::Clock;
use postrider_shared::config::GoogleConfig;
use postrider_shared::database::Database;
use postrider_shared::google::Granted;
use postrider_shared::scopes::Scopes;
use postrider_shared::stores::Stores;
use postrider_shared::tenants::TenantSettings;
use postrider_worker::access::{AccessToken, AccessTokens, TokenError};
use postrider_worker::providers::google::Google;
use postrider_worker::providers::transport::Trust;
use sea_orm::ConnectionTrait;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::redis::Redis;
use super::{ADDRESS, Servers};

/// One installation: its processes share the database and the queue.
struct Installation {
    servers: Servers,
    stores: Stores,
    database: Database,
    redis: Redis,
    clock: Clock,
    account: Account,
    _folder: TempDir,
}

impl Installation {
    /// With a mailbox whose owner consented, and whose access token is too old.
    async fn start() -> Self {
        let servers = Servers::start().await;
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Clock::system().now());
        let database = super::database(folder.path()).await;
        let stores = super::stores(&database, &clock);
        let tenant = stores.tenants.create(TenantSettings::named("Lindner")).await.unwrap().id;
        let id = postrider_shared::ids::AccountId::random();
        let account = stores.accounts.create_google_as(tenant, id, super::account_settings()).await.unwrap();
        let given = servers.control.issue_tokens(ADDRESS).await.unwrap();
        let granted = Granted {
            access: given.access_token.into(),
            expires_at: clock.now(),
            refresh: given.refresh_token.map(Into::into),
        };
        stores.grants.put(tenant, account.id, &granted).await.unwrap();
        Self { servers, stores, database, redis: Redis::start(), clock, account, _folder: folder }
    }

    /// A worker process of its own memory.
    async fn process(&self) -> AccessTokens {
        let http = self.servers.sandbox.addresses.http;
        let config = GoogleConfig {
            client_id: "client".into(),
            client_secret: "secret".into(),
            redirect_url: "http://localhost/callback".into(),
            token_url: format!("http://{http}/token"),
            revoke_url: format!("http://{http}/revoke"),
            gmail_url: format!("http://{http}"),
        };
        // reqwest is built without a provider of its own; a second installation changes nothing.
        let google = Google::new(config, &Trust::default(), self.clock.clone()).unwrap();
        let (accounts, messages) = (self.stores.accounts.clone(), self.stores.messages.clone());
        let scopes = Scopes::new(accounts, messages, self.redis.client().await, self.clock.clone());
        AccessTokens::new(self.stores.grants.clone(), scopes, Some(google.into()), self.clock.clone())
    }

    async fn of(&self, process: &AccessTokens) -> Result<AccessToken, TokenError> {
        process.of(self.account.tenant_id, self.account.id).await
    }

    async fn refreshes(&self) -> u64 {
        self.servers.control.google().await.unwrap().refresh
    }

    async fn state(&self) -> (AccountState, Option<String>) {
        let account = self.stores.accounts.get(self.account.tenant_id, self.account.id).await.unwrap();
        (account.state, account.pause_reason)
    }

    async fn trouble(&self, status: u16, error: &str, delay_ms: u64) {
        let trouble = Trouble { status, error: error.into(), times: 1, delay_ms, retry_after: None };
        self.order(Orders { troubles: vec![trouble], ..Orders::default() }).await;
    }

    async fn order(&self, orders: Orders) {
        self.servers.control.order_google(&orders).await.unwrap();
    }

    /// What a job does that is told to come back later.
    async fn patiently(&self, process: &AccessTokens) -> String {
        for _ in 0..200 {
            match self.of(process).await {
                Ok(token) => return token.secret.expose_secret().to_owned(),
                Err(TokenError::Waiting { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no token");
    }

    async fn sql(&self, statement: &str) {
        self.database.reader().execute_unprepared(statement).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_jobs_of_four_processes_renew_an_expired_token_once() {
    let at = Installation::start().await;
    at.trouble(0, "", 150).await;
    let processes = join_all((0..4).map(|_| at.process())).await;
    // Whoever is told that another process renews the token comes back while the clock moves on.
    let clock = at.clock.clone();
    let time = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            clock.advance(Duration::from_millis(50));
        }
    };
    let jobs = join_all((0..64).map(|job| at.patiently(&processes[job % 4])));
    let tokens = tokio::select! {
        tokens = jobs => tokens,
        () = time => unreachable!("time does not end"),
    };
    assert_eq!(at.refreshes().await, 1, "64 jobs, one call");
    assert!(tokens.iter().all(|token| *token == tokens[0]));

    // A little before the end of the new one, again once; well before it, not at all.
    at.clock.advance(Duration::from_secs(3_599 - 400));
    at.patiently(&processes[0]).await;
    assert_eq!(at.refreshes().await, 1);
    at.clock.advance(Duration::from_secs(150));
    for process in &processes {
        assert_ne!(at.patiently(process).await, tokens[0]);
    }
    assert_eq!(at.refreshes().await, 2);
}

#[tokio::test]
async fn a_revoked_grant_is_one_call_and_stops_the_account() {
    let at = Installation::start().await;
    at.servers.control.revoke_grants(ADDRESS).await.unwrap();
    let (one, other) = (at.process().await, at.process().await);
    for _ in 0..5 {
        for process in [&one, &other] {
            let error = at.of(process).await.unwrap_err();
            assert!(matches!(error, TokenError::NeedsConsent { .. }), "{error}");
        }
    }
    assert_eq!(at.refreshes().await, 1);
    let (state, reason) = at.state().await;
    assert_eq!(state, AccountState::NeedsConsent);
    assert!(reason.unwrap().contains("expired or revoked"));
    let events = at.stores.account_events.list(at.account.tenant_id, at.account.id, None, 10).await.unwrap();
    assert_eq!(events.items.len(), 1, "the owner is told once");
}

#[tokio::test]
async fn a_renewal_whose_process_died_is_taken_over_when_its_lease_ends() {
    let at = Installation::start().await;
    let grant = at.stores.grants.get(at.account.tenant_id, at.account.id).await.unwrap().unwrap();
    let until = at.clock.now() + TimeDelta::seconds(20);
    let dead = at.stores.grants.begin(&grant, until).await.unwrap().unwrap();
    let process = at.process().await;
    let mut looks = 0;
    while at.clock.now() < until {
        let TokenError::Waiting { until: next, .. } = at.of(&process).await.unwrap_err() else { panic!("it waits") };
        assert_eq!(at.refreshes().await, 0, "nobody asks while another may be asking");
        at.clock.set(next);
        looks += 1;
    }
    assert!(looks < 12, "a job may put itself off a hundred times, and here did {looks} times");
    at.of(&process).await.unwrap();
    assert_eq!(at.refreshes().await, 1);
    let late = Granted { access: "late".to_owned().into(), expires_at: until, refresh: None };
    let ended = at.stores.grants.renewed(&dead, &late).await.unwrap();
    assert_eq!(ended, postrider_shared::google::Renewed::Overtaken, "what the dead one got is not used");
}

#[tokio::test]
async fn a_new_refresh_token_replaces_the_old_one() {
    let at = Installation::start().await;
    at.order(Orders { rotate: true, ..Orders::default() }).await;
    let process = at.process().await;
    for _ in 0..3 {
        at.of(&process).await.unwrap();
        at.clock.advance(Duration::from_secs(3_600));
    }
    assert_eq!(at.refreshes().await, 3, "each with the token that the one before gave");
}

#[tokio::test]
async fn a_new_refresh_token_is_not_lost_to_a_database_that_does_not_take_it_at_once() {
    let at = Installation::start().await;
    at.order(Orders { rotate: true, ..Orders::default() }).await;
    let process = at.process().await;
    // For a second.
    at.sql(
        "CREATE TABLE refusal AS SELECT julianday('now') + 1.0 / 86400 AS ends_at; \
        CREATE TRIGGER refusal BEFORE UPDATE OF access_token_sealed ON google_grants \
        WHEN julianday('now') < (SELECT ends_at FROM refusal) BEGIN SELECT RAISE(ABORT, 'not now'); END",
    )
    .await;
    at.of(&process).await.unwrap();
    at.clock.advance(Duration::from_secs(3_600));
    at.of(&process).await.unwrap();
    assert_eq!((at.refreshes().await, at.state().await.0), (2, AccountState::Connecting));
}

#[tokio::test]
async fn troubles_of_google_and_mistakes_of_the_operator_stop_no_account() {
    let at = Installation::start().await;
    let process = at.process().await;
    let mut calls = 0;
    for (status, error) in [(503, ""), (500, "internal_failure"), (429, "rate_limit_exceeded"), (401, "invalid_client")]
    {
        at.trouble(status, error, 0).await;
        let TokenError::Waiting { until, reason } = at.of(&process).await.unwrap_err() else { panic!("{status}") };
        calls += 1;
        // Before that time nobody asks, in no process.
        for process in [&process, &at.process().await] {
            assert!(matches!(at.of(process).await, Err(TokenError::Waiting { .. })));
        }
        assert_eq!(at.refreshes().await, calls, "{status}: {reason}");
        let grant = at.stores.grants.get(at.account.tenant_id, at.account.id).await.unwrap().unwrap();
        assert_eq!(grant.problem, Some(reason));
        at.clock.set(until);
    }
    assert_eq!(at.state().await.0, AccountState::Connecting, "as it was");
    at.of(&process).await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_then_the_account_is_stopped() {
    let at = Installation::start().await;
    let (process, account) = (at.process().await, (at.account.tenant_id, at.account.id));
    let first = at.of(&process).await.unwrap();
    let second = process.refused(account.0, account.1, &first).await.unwrap();
    let again = process.refused(account.0, account.1, &first).await.unwrap();
    assert_eq!(second.secret.expose_secret(), again.secret.expose_secret(), "a newer one is there already");
    let elsewhere = at.process().await.refused(account.0, account.1, &first).await.unwrap();
    assert_eq!(second.secret.expose_secret(), elsewhere.secret.expose_secret());
    assert_eq!(at.refreshes().await, 2);
    process.useless(account.0, account.1, &first, "an old one").await;
    assert_eq!(at.state().await.0, AccountState::Connecting, "a refusal of an older token says nothing");
    let error = process.useless(account.0, account.1, &second, "the server refuses it").await;
    assert!(matches!(error, TokenError::NeedsConsent { .. }));
    assert_eq!(at.state().await, (AccountState::NeedsConsent, Some("the server refuses it".into())));
}

#[tokio::test]
async fn truncated_and_foreign_tokens_do_not_open() {
    let at = Installation::start().await;
    // A broken access token is as good as none.
    at.sql(
        "UPDATE google_grants SET access_expires_at = '2099-01-01T00:00:00+00:00', \
        access_token_sealed = substr(access_token_sealed, 1, 40)",
    )
    .await;
    at.of(&at.process().await).await.unwrap();
    assert_eq!(at.refreshes().await, 1);
    // The access token's text is a valid one of this row, but not a refresh token.
    at.sql("UPDATE google_grants SET refresh_token_sealed = access_token_sealed, access_token_sealed = ''").await;
    let error = at.of(&at.process().await).await.unwrap_err();
    assert!(matches!(error, TokenError::NeedsConsent { .. }), "{error}");
    assert_eq!(at.refreshes().await, 1, "what does not open is not sent to anybody");
    let (state, reason) = at.state().await;
    assert_eq!(state, AccountState::NeedsConsent);
    assert!(reason.unwrap().contains("moved to another row"));
}

#[tokio::test]
async fn a_key_that_is_missing_stops_no_account() {
    let at = Installation::start().await;
    at.sql("UPDATE google_grants SET refresh_token_sealed = replace(refresh_token_sealed, 's1:test:', 's1:gone:')")
        .await;
    let error = at.of(&at.process().await).await.unwrap_err();
    assert!(matches!(&error, TokenError::Waiting { reason, .. } if reason.contains("gone")), "{error}");
    assert_eq!((at.state().await.0, at.refreshes().await), (AccountState::Connecting, 0));
}
