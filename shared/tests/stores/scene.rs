//! A migrated database with two tenants, and makers of what tests need.

use chrono::{DateTime, Utc};
use postrider_migration::{Migrator, MigratorTrait};
use postrider_queue::NewJob;
use postrider_shared::{
    accounts::{Account, AccountChange, AccountSettings, MailServer, NewAccount, Security},
    clock::Clock,
    config::DatabaseConfig,
    database::{Database, StoreError},
    ids::{MailId, TenantId},
    jobs::ExtractRequest,
    mail::{InboundMail, NewMail, Reading},
    objects::raw_mail_key,
    products::{Dimension, Material, ProductSettings, ProductState},
    quotes::{NewLine, NewQuote, Quote},
    seal::KeyRing,
    stores::Stores,
    tenants::TenantSettings,
    time_zone::TimeZone,
};
use rust_decimal::Decimal;
use tempfile::TempDir;

use crate::postgres::Server;

pub const KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub struct Scene {
    pub stores: Stores,
    pub database: Database,
    pub clock: Clock,
    pub tenant: TenantId,
    /// Another one, who must never see anything of the first.
    pub stranger: TenantId,
    pub url: String,
    // Dropped last.
    _folder: Option<TempDir>,
}

impl Scene {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("postrider.db").display());
        Self::at(url, Some(folder)).await
    }

    pub async fn postgres(server: &Server) -> Self {
        Self::at(server.new_database().await, None).await
    }

    async fn at(url: String, folder: Option<TempDir>) -> Self {
        let database = Database::connect(&DatabaseConfig::at(&url)).await.unwrap();
        Migrator::up(database.reader(), None).await.unwrap();
        let clock = Clock::manual(DateTime::from_timestamp(1_790_000_000, 123_456_000).unwrap());
        let stores = Stores::new(&database, &clock, Some(KeyRing::parse(KEYS).unwrap()));
        let settings = TenantSettings { tax_rate: Decimal::new(19, 2), ..TenantSettings::named("Ours") };
        let tenant = stores.tenants.create(settings).await.unwrap().id;
        let stranger = stores.tenants.create(TenantSettings::named("Stranger")).await.unwrap().id;
        Self { stores, database, clock, tenant, stranger, url, _folder: folder }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub async fn account(&self) -> Account {
        let new = NewAccount { settings: account_settings("Sales@example.com"), password: "hunter2".to_owned().into() };
        self.stores.accounts.create(self.tenant, new).await.unwrap()
    }

    pub async fn change_account(
        &self,
        account: &Account,
        change: impl Into<AccountChange>,
    ) -> Result<Account, StoreError> {
        let change = change.into();
        self.stores.accounts.change(self.tenant, account.id, |_| Ok(change)).await
    }

    /// A mail that was not recorded yet.
    pub fn new_mail(&self, account: &Account, uid: u32) -> NewMail {
        let dedupe_key = format!("id:{uid}@customer.example");
        NewMail {
            account_id: account.id,
            folder: "INBOX".to_owned(),
            uid_validity: 7,
            epoch: 0,
            uid,
            provider_id: None,
            rfc_message_id: Some(format!("{uid}@customer.example")),
            in_reply_to: None,
            references: Vec::new(),
            from_address: "jo@customer.example".to_owned(),
            from_name: Some("Jo".to_owned()),
            subject: "Plates".to_owned(),
            sent_at: Some(self.now()),
            received_at: self.now(),
            raw_key: raw_mail_key(self.tenant, account.id, MailId::of(account.id, &dedupe_key)),
            dedupe_key,
            size: 1_234,
            text: "Two plates, please.".to_owned(),
            failure: None,
        }
    }

    pub fn extract_job(&self, mail: &NewMail) -> NewJob {
        NewJob::of(self.tenant.into(), &ExtractRequest { mail_id: mail.id() }).unwrap()
    }

    pub async fn mail(&self, account: &Account, uid: u32) -> InboundMail {
        let mail = self.new_mail(account, uid);
        self.stores.mail.open_folder(self.tenant, account.id, "INBOX", 7).await.unwrap();
        self.stores.mail.record(self.tenant, mail, Vec::new()).await.unwrap().mail().clone()
    }

    pub async fn draft(&self, mail: &InboundMail) -> Quote {
        let product = match self.stores.products.offered(self.tenant).await.unwrap().into_iter().next() {
            Some(product) => product,
            None => self.stores.products.create(self.tenant, plate()).await.unwrap(),
        };
        let new = NewQuote {
            customer_name: Some("Jo".to_owned()),
            extraction: serde_json::json!({"intent": "new_request"}),
            lines: vec![NewLine {
                product_id: Some(product.id),
                sku: product.sku,
                description: product.name,
                dimensions: Vec::new(),
                material: Some("st37".to_owned()),
                quantity: Decimal::TWO,
            }],
            ..request(mail)
        };
        self.stores.quotes.create(self.tenant, new).await.unwrap().quote().clone()
    }
}

/// A request in this mail, without its lines.
pub fn request(mail: &InboundMail) -> NewQuote {
    NewQuote {
        mail_id: mail.id,
        language: "en".to_owned(),
        currency: "EUR".to_owned(),
        deadline: None,
        customer_name: None,
        customer_address: mail.from_address.clone(),
        extraction: serde_json::Value::Null,
        lines: Vec::new(),
        review: None,
        fingerprint: None,
        reading: Reading::default(),
    }
}

pub fn account_settings(address: &str) -> AccountSettings {
    let server = |port| MailServer {
        host: "mail.example.com".to_owned(),
        port,
        security: Security::Tls,
        username: address.to_owned(),
    };
    AccountSettings {
        address: address.to_owned(),
        display_name: "Sales".to_owned(),
        imap: server(993),
        smtp: server(465),
        daily_cap: AccountSettings::DAILY_CAP,
        time_zone: "Europe/Berlin".parse::<TimeZone>().unwrap(),
        poll_interval_seconds: AccountSettings::POLL_INTERVAL_SECONDS,
    }
}

pub fn plate() -> ProductSettings {
    ProductSettings {
        sku: "PLATE".to_owned(),
        name: "Steel plate".to_owned(),
        description: "Cut to size.".to_owned(),
        aliases: vec!["sheet".to_owned()],
        dimensions: vec![Dimension {
            name: "width".to_owned(),
            unit: "mm".to_owned(),
            min: Decimal::ONE,
            max: Decimal::new(2_000, 0),
            aliases: Vec::new(),
        }],
        materials: vec![Material {
            code: "st37".to_owned(),
            name: "Steel".to_owned(),
            aliases: Vec::new(),
            rate: Decimal::new(11, 1),
        }],
        unit_label: "piece".to_owned(),
        formula: "0.1 * width * material_rate + 0.2".to_owned(),
        min_quantity: Decimal::ONE,
        max_quantity: Some(Decimal::new(1_000, 0)),
        state: ProductState::Active,
    }
}

/// Runs the given test functions on both databases: each alone on SQLite, and all on databases of one PostgreSQL server, because
/// such a server takes longer to start than any of them to run.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name($crate::scene::Scene::sqlite().await).await;
            })*
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn postgres() {
            let server = $crate::postgres::Server::start();
            $(
                println!("on PostgreSQL: {}", stringify!($name));
                $name($crate::scene::Scene::postgres(&server).await).await;
            )*
        }
    };
}

pub(crate) use on_both;
