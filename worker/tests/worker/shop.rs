//! A business whose mail the worker of a test looks after.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use postrider_queue::{JobState, NewJob, QueueClient};
use postrider_shared::accounts::{Account, AccountSettings, MailServer, NewAccount, Security};
use postrider_shared::clock::Clock;
use postrider_shared::config::ObjectsConfig;
use postrider_shared::database::Database;
use postrider_shared::ids::TenantId;
use postrider_shared::jobs::PollMailbox;
use postrider_shared::mail::MailState;
use postrider_shared::messages::{MessageFilter, MessageState};
use postrider_shared::objects::Objects;
use postrider_shared::products::{ProductSettings, ProductState};
use postrider_shared::scopes::Scopes;
use postrider_shared::stores::Stores;
use postrider_shared::tenants::TenantSettings;
use postrider_worker::context::Services;
use postrider_worker::jobs;
use postrider_worker::memory::Memory;
use postrider_worker::providers::llm::{Llm, LlmSettings};
use postrider_worker::providers::transport::{Dialer, Trust};
use postrider_worker::runtime::{self, RuntimeConfig};
use postrider_worker::watching::WatchConfig;
use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::redis::Redis;
use super::{ADDRESS, PASSWORD, Servers};

/// As the settings have it, if they say nothing.
pub(super) const CONCURRENCY: usize = 64;

/// A business with a mailbox and a product, and a worker in this process that works for it.
pub(super) struct Shop {
    pub(super) servers: Servers,
    pub(super) queue: QueueClient,
    pub(super) stores: Stores,
    pub(super) objects: Objects,
    pub(super) memory: Memory,
    pub(super) tenant: TenantId,
    pub(super) account: Account,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<()>,
    pub(super) folder: TempDir,
    _redis: Redis,
}

impl Shop {
    pub(super) async fn open() -> Self {
        let redis = Redis::start();
        let servers = Servers::start().await;
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let database = super::database(folder.path()).await;
        let stores = super::stores(&database, &clock);
        let files = format!("file://{}/objects", folder.path().display());
        let objects = Objects::open(&ObjectsConfig::at(files)).unwrap();
        let queue = redis.client().await;
        let tenant = stores.tenants.create(TenantSettings::named("Lindner")).await.unwrap().id;
        stores.products.create(tenant, rollup()).await.unwrap();
        let account = stores.accounts.create(tenant, account(&servers)).await.unwrap();
        let scopes = Scopes::new(stores.accounts.clone(), stores.messages.clone(), queue.clone(), clock.clone());
        scopes.define(&account).await.unwrap();
        let settings = LlmSettings {
            base_url: servers.sandbox.addresses.openai_base_url.clone(),
            api_key: "sandbox".into(),
            model: "sandbox".into(),
            timeout: Duration::from_secs(10),
            requests_per_minute: NonZeroU32::MAX,
            trust: Trust::default(),
        };
        let llm = Llm::new(settings, clock.clone()).unwrap();
        let services = Services::new(queue.clone(), stores.clone(), objects.clone(), llm, clock)
            .with_dialer(Dialer::default().anywhere());
        let memory = services.mail_memory.clone();
        let queues = ["mail", "extraction", "quotes", "email", "upkeep"].map(|name| name.parse().unwrap()).to_vec();
        let config = RuntimeConfig {
            queues,
            concurrency: CONCURRENCY,
            grace: Duration::from_secs(5),
            watch: WatchConfig { capacity: 0, renewal: Duration::from_mins(4) },
        };
        let (stop, stopped) = oneshot::channel();
        let registry = Arc::new(jobs::registry().unwrap());
        #[expect(clippy::disallowed_methods, reason = "the test awaits it at its end")]
        let worker = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            runtime::run(config, registry, Arc::new(services), stop).await.unwrap();
        });
        Self { servers, queue, stores, objects, memory, tenant, account, stop, worker, folder, _redis: redis }
    }

    pub(super) async fn deliver(&self, mail: &str) {
        self.servers.control.deliver(ADDRESS, mail.replace('\n', "\r\n"), None).await.unwrap();
    }

    /// Polls and waits for the poll's end.
    pub(super) async fn poll(&self) -> serde_json::Value {
        let job = PollMailbox { account_id: self.account.id, planned_at: None };
        let id = self.queue.enqueue(NewJob::of(self.tenant.into(), &job).unwrap()).await.unwrap().id();
        let ended = self.queue.wait(id, Duration::from_secs(20)).await.unwrap().unwrap();
        assert_eq!(ended.state, JobState::Completed, "{:?}", ended.error);
        ended.output.unwrap()
    }

    pub(super) async fn until<T, F: Future<Output = Option<T>>>(&self, what: &str, look: impl Fn() -> F) -> T {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(std::time::Instant::now() < deadline, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn mails(&self, state: MailState) -> usize {
        self.stores.mail.list(self.tenant, Some(state), None, 100).await.unwrap().items.len()
    }

    pub(super) async fn messages(&self, state: MessageState) -> usize {
        let filter = MessageFilter { state: Some(state), ..MessageFilter::default() };
        self.stores.messages.list(self.tenant, filter, None, 100).await.unwrap().items.len()
    }

    /// From now on no message comes into this state: the database refuses whoever writes it.
    pub(super) async fn refuse(&self, state: MessageState) {
        let trigger = format!(
            "CREATE TRIGGER refusal BEFORE UPDATE OF state ON messages WHEN NEW.state = '{state}' \
             BEGIN SELECT RAISE(ABORT, 'not now'); END"
        );
        self.database().await.reader().execute_unprepared(&trigger).await.unwrap();
    }

    pub(super) async fn database(&self) -> Database {
        super::database(self.folder.path()).await
    }

    pub(super) async fn close(self) {
        let _ = self.stop.send(());
        tokio::time::timeout(Duration::from_secs(15), self.worker).await.unwrap().unwrap();
    }
}

fn rollup() -> ProductSettings {
    ProductSettings {
        sku: "ROLLUP".into(),
        name: "Roll-up".into(),
        description: "With print".into(),
        aliases: vec!["roll-up displays".into(), "roll-ups".into()],
        dimensions: vec![],
        materials: vec![],
        unit_label: "pcs".into(),
        formula: "89.50 * quantity / quantity".into(),
        min_quantity: 1.into(),
        max_quantity: Some(100.into()),
        state: ProductState::Active,
    }
}

pub(super) fn account(servers: &Servers) -> NewAccount {
    let server = |address: std::net::SocketAddr| MailServer {
        host: address.ip().to_string(),
        port: address.port(),
        security: Security::Plain,
        username: ADDRESS.into(),
    };
    let addresses = &servers.sandbox.addresses;
    let settings = AccountSettings {
        imap: server(addresses.imap),
        smtp: server(addresses.smtp),
        daily_cap: AccountSettings::DAILY_CAP,
        ..super::account_settings()
    };
    NewAccount { settings, password: PASSWORD.into() }
}
