//! What a duty works with: Redis, a database, stores, a clock.

use std::time::Duration;

use postrider_queue::{JobRecord, ListFilter, QueueClient, QueueConfig, Tenant};
use postrider_scheduler::duty::{Duty, Step};
use postrider_shared::{
    accounts::{Account, AccountSettings, MailServer, NewAccount, Security},
    clock::Clock,
    config::DatabaseConfig,
    database::Database,
    ids::TenantId,
    seal::KeyRing,
    stores::Stores,
    tenants::TenantSettings,
    time_zone::TimeZone,
};
use postrider_tests::{DatabaseKind, RedisServer, TestDatabase};
use tempfile::TempDir;

pub struct Office {
    pub stores: Stores,
    pub queue: QueueClient,
    pub clock: Clock,
    pub tenant: TenantId,
    pub redis: RedisServer,
    pub database: Database,
    // Last: both servers keep their files in the folder.
    _test_database: TestDatabase,
    _folder: TempDir,
}

impl Office {
    pub async fn open(kind: DatabaseKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redis = RedisServer::start(folder.path(), None).await;
        let url = redis.url();
        Self::with_queue(kind, folder, redis, url).await
    }

    /// With the queue's shards spread over two servers, of which the second one is given, too.
    pub async fn on_two_servers(kind: DatabaseKind) -> (Self, RedisServer) {
        let folder = tempfile::tempdir().unwrap();
        let second = folder.path().join("second");
        std::fs::create_dir(&second).unwrap();
        let redis = RedisServer::start(folder.path(), None).await;
        let other = RedisServer::start(&second, None).await;
        let urls = [redis.url(), other.url()].join(",");
        (Self::with_queue(kind, folder, redis, urls).await, other)
    }

    async fn with_queue(kind: DatabaseKind, folder: TempDir, redis: RedisServer, urls: String) -> Self {
        let test_database = TestDatabase::create(kind, folder.path()).await;
        let database = Database::connect(&DatabaseConfig::at(test_database.url())).await.unwrap();
        let clock = Clock::manual(Clock::system().now());
        let keys = KeyRing::parse("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let stores = Stores::new(&database, &clock, Some(keys));
        let queue = QueueClient::connect(QueueConfig::new(urls)).await.unwrap();
        let tenant = stores.tenants.create(TenantSettings::named("Harbour Lane")).await.unwrap().id;
        Self { stores, queue, clock, tenant, redis, database, _test_database: test_database, _folder: folder }
    }

    pub async fn account(&self, address: &str, interval: Duration, daily_cap: u32) -> Account {
        self.account_of(self.tenant, address, interval, daily_cap).await
    }

    pub async fn account_of(&self, tenant: TenantId, address: &str, interval: Duration, daily_cap: u32) -> Account {
        let server = |port| MailServer {
            host: "127.0.0.1".to_owned(),
            port,
            security: Security::Plain,
            username: address.to_owned(),
        };
        let settings = AccountSettings {
            address: address.to_owned(),
            display_name: "Harbour Lane".to_owned(),
            imap: server(143),
            smtp: server(587),
            daily_cap,
            time_zone: TimeZone::UTC,
            poll_interval_seconds: u32::try_from(interval.as_secs()).unwrap(),
        };
        let new = NewAccount { settings, password: "secret".into() };
        self.stores.accounts.create(tenant, new).await.unwrap()
    }

    /// All jobs there are, newest first.
    pub async fn jobs(&self) -> Vec<JobRecord> {
        let page = self.queue.list(&Tenant::from(self.tenant), &ListFilter::default(), None, 200).await.unwrap();
        page.items
    }
}

/// Takes steps until the duty rests.
pub async fn rounds(duty: &mut impl Duty) {
    while duty.step().await.unwrap() == Step::More {}
}
