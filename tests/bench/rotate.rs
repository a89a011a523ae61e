//! A new key for all secrets while everything runs: so many mailboxes are sealed again by the job `rotate_secrets`, while clients change
//! their passwords through the API and the worker that does it is killed once. On each database, with every commit on disk.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postrider_shared::accounts::{AccountSettings, MailServer, NewAccount, Security};
use postrider_shared::clock::Clock;
use postrider_shared::config::DatabaseConfig;
use postrider_shared::database::{AllTenants, Database};
use postrider_shared::ids::{AccountId, TenantId};
use postrider_shared::seal::{KeyRing, Place};
use postrider_shared::stores::Stores;
use postrider_tests::wait::within;
use postrider_tests::{Api, DatabaseKind, Platform, Report};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::task::JoinSet;

use crate::bed::rate;
use crate::redrive::Databases;

const OLD: &str = "old:dGVzdHMgc2VhbCB3aXRoIHRoaXMga2V5LCBubyBvbmU=";
const NEW: &str = "new:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const DEADLINE: Duration = Duration::from_secs(1_200);
/// Callers that change passwords, each one request after the other.
const CALLERS: usize = 8;

pub async fn run(values: usize, databases: Databases) -> Report {
    let mut report = Report::new("rotate");
    report.figure("values", values).figure("callers", CALLERS);
    for (name, kind) in databases.kinds() {
        round(&mut report, name, kind, values).await;
    }
    report
}

async fn round(report: &mut Report, name: &str, kind: DatabaseKind, values: usize) {
    let platform = Platform::with(kind)
        .durable()
        .schedulers(0)
        .setting("SECRET_KEYS", &format!("{NEW},{OLD}"))
        .setting("RUST_LOG", &"warn,postrider_worker=info,postrider_api=info")
        .start()
        .await;
    let database = Database::connect(&DatabaseConfig::at(platform.database().url())).await.expect("connect");
    let api = platform.tenant("Rotation").await;
    let accounts = Arc::new(fill(&database, &api, values).await);
    assert_eq!(sealed_with(&platform, "old").await, values as u64);

    // Nothing but load, to compare with.
    let load = Load::begin(&api, &accounts);
    tokio::time::sleep(Duration::from_millis(if values < 10_000 { 300 } else { 5_000 })).await;
    let before = load.end().await;

    let load = Load::begin(&api, &accounts);
    let started = Instant::now();
    let rotation = platform.api().post("/v1/secrets/rotate", &json!({})).await.expect_status(202);
    let place = rotation.header("location").expect("where it is followed").to_owned();
    // A worker that dies with it: another one goes on.
    within(DEADLINE, "a part to be done", || async {
        (sealed_with(&platform, "new").await > values as u64 / 10).then_some(())
    })
    .await;
    platform.worker(0).kill_and_restart().await;
    let job = within(DEADLINE, "the rotation to end", || async {
        let job = platform.api().get(&place).await.ok();
        (job["state"] == "completed").then_some(job)
    })
    .await;
    let took = started.elapsed();
    let during = load.end().await;

    let left = sealed_with(&platform, "old").await;
    let opened = opened(&database, &accounts, &[&before.written, &during.written]).await;
    let again = platform.api().post("/v1/secrets/rotate", &json!({})).await.expect_status(202);
    let again = again.header("location").expect("where it is followed").to_owned();
    within(DEADLINE, "a second rotation to end", || async {
        (platform.api().get(&again).await.ok()["state"] == "completed").then_some(())
    })
    .await;
    platform.abandon("the tenant's mailboxes are nowhere");

    let summary = job["output"]["summary"].as_array().and_then(|lines| lines[0].as_str()).unwrap_or_default();
    report
        .decimal(&format!("{name}_seconds"), took.as_secs_f64())
        .decimal(&format!("{name}_values_per_s"), rate(values, took))
        .figure(&format!("{name}_requests"), during.requests)
        .figure(&format!("{name}_failed_requests"), during.failed + before.failed)
        .decimal(&format!("{name}_slowest_request_ms"), during.slowest.as_secs_f64() * 1_000.0)
        .decimal(&format!("{name}_slowest_request_before_ms"), before.slowest.as_secs_f64() * 1_000.0)
        .figure(&format!("{name}_summary"), summary)
        .must(&format!("{name}: no request failed"), during.failed + before.failed == 0)
        .must(&format!("{name}: there was load"), during.requests > 0)
        .must(&format!("{name}: nothing is left under the old key"), left == 0)
        .must(&format!("{name}: the job says so"), summary == "0 values left under key old: it may be removed")
        .must(&format!("{name}: every secret opens with the new key alone, the newest one each"), opened == values);
}

/// Mailboxes, paused, each with a password of its own under the old key: rows of one made by its store.
async fn fill(database: &Database, api: &Api, values: usize) -> Vec<AccountId> {
    let keys = KeyRing::parse(OLD).expect("a key");
    let stores = Stores::new(database, &Clock::system(), Some(keys.clone()));
    let tenant = tenant(api).await;
    let server = || MailServer {
        host: "mail.example.com".to_owned(),
        port: 993,
        security: Security::Tls,
        username: "box@example.com".to_owned(),
    };
    let settings = AccountSettings {
        address: "box@example.com".to_owned(),
        display_name: "Box".to_owned(),
        imap: server(),
        smtp: server(),
        daily_cap: 0,
        time_zone: "UTC".parse().expect("a time zone"),
        poll_interval_seconds: 86_400,
    };
    let new = NewAccount { settings, password: password(0).into() };
    let first = stores.accounts.create(tenant, new).await.expect("an account");
    stores.accounts.pause(tenant, first.id, "nowhere").await.expect("pause it");

    let connection = database.reader();
    let backend = connection.get_database_backend();
    let columns = match backend {
        DbBackend::Sqlite => "SELECT name AS c FROM pragma_table_info('accounts')",
        _ => "SELECT column_name::text AS c FROM information_schema.columns WHERE table_name = 'accounts'",
    };
    let columns = connection.query_all_raw(Statement::from_string(backend, columns)).await.expect("the columns");
    let columns: Vec<String> = columns.iter().map(|row| row.try_get("", "c").expect("a name")).collect();
    let taken: Vec<String> = columns
        .iter()
        .map(|column| match column.as_str() {
            "id" => "v.column1".to_owned(),
            "password_sealed" => "v.column2".to_owned(),
            // Each is a mailbox of its own.
            "identity" | "address" => "v.column3".to_owned(),
            other => format!("a.{other}"),
        })
        .collect();
    let mut accounts = vec![first.id];
    while accounts.len() < values {
        let many = (values - accounts.len()).min(1_000);
        let mut parameters: Vec<Value> = Vec::new();
        let mut rows = Vec::new();
        for _ in 0..many {
            let id = AccountId::random();
            let row = id.to_string();
            let place = Place { table: "accounts", column: "password", row: &row };
            let sealed = keys.seal(place, &password(accounts.len()).into()).expect("seal");
            rows.push(match backend {
                DbBackend::Sqlite => "(?, ?, ?)".to_owned(),
                _ => format!("(${}, ${}, ${})", parameters.len() + 1, parameters.len() + 2, parameters.len() + 3),
            });
            let address = format!("box{}@example.com", accounts.len());
            parameters.extend([Value::from(id.0), sealed.into(), address.into()]);
            accounts.push(id);
        }
        let last = if backend == DbBackend::Sqlite { "?".to_owned() } else { format!("${}", parameters.len() + 1) };
        parameters.push(first.id.0.into());
        let sql = format!(
            "INSERT INTO accounts ({}) SELECT {} FROM accounts a, (VALUES {}) AS v WHERE a.id = {last}",
            columns.join(", "),
            taken.join(", "),
            rows.join(", ")
        );
        connection.execute_raw(Statement::from_sql_and_values(backend, sql, parameters)).await.expect("insert");
    }
    accounts
}

fn password(number: usize) -> String {
    format!("password {number}")
}

async fn tenant(api: &Api) -> TenantId {
    let tenants = api.get("/v1/tenants").await.ok();
    tenants["items"][0]["id"].as_str().and_then(|id| id.parse().ok()).expect("the tenant")
}

async fn sealed_with(platform: &Platform, key: &str) -> u64 {
    let secrets = platform.api().get("/v1/secrets").await.ok();
    let keys = secrets["keys"].as_array().expect("keys");
    keys.iter().find(|found| found["id"] == key).and_then(|key| key["values"].as_u64()).unwrap_or_default()
}

/// What callers did.
#[derive(Default)]
struct Done {
    requests: usize,
    failed: usize,
    slowest: Duration,
    /// The newest password of each mailbox, by its number.
    written: HashMap<usize, String>,
}

struct Load {
    stopped: Arc<AtomicBool>,
    callers: JoinSet<()>,
    done: Arc<Mutex<Done>>,
}

impl Load {
    /// Each caller has mailboxes of its own, so that the newest password of each is known.
    fn begin(api: &Api, accounts: &Arc<Vec<AccountId>>) -> Self {
        static ROUND: AtomicUsize = AtomicUsize::new(0);
        let (stopped, done) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Done::default())));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (api, accounts) = (api.clone(), Arc::clone(accounts));
            let (stopped, done) = (Arc::clone(&stopped), Arc::clone(&done));
            callers.spawn(async move {
                let mut number = caller;
                while !stopped.load(Ordering::Relaxed) {
                    let password = format!("changed {}", ROUND.fetch_add(1, Ordering::Relaxed));
                    let path = format!("/v1/accounts/{}", accounts[number]);
                    let started = Instant::now();
                    let answer = api.patch(&path, &json!({ "password": password })).await;
                    let mut done = done.lock().expect("no caller panics with it");
                    done.requests += 1;
                    done.failed += usize::from(answer.status != 200);
                    done.slowest = done.slowest.max(started.elapsed());
                    done.written.insert(number, password);
                    // Far apart, so that they meet the rotation everywhere; the step has no factor with the number of callers' mailboxes.
                    number = (number + CALLERS * 7_919) % (accounts.len() / CALLERS * CALLERS);
                }
            });
        }
        Self { stopped, callers, done }
    }

    async fn end(self) -> Done {
        self.stopped.store(true, Ordering::Relaxed);
        self.callers.join_all().await;
        std::mem::take(&mut *self.done.lock().expect("no caller panics with it"))
    }
}

/// How many mailboxes have the password that was written last, as somebody with the new key only sees it.
async fn opened(database: &Database, accounts: &[AccountId], written: &[&HashMap<usize, String>]) -> usize {
    let stores = Stores::new(database, &Clock::system(), Some(KeyRing::parse(NEW).expect("a key")));
    let numbers: HashMap<AccountId, usize> = accounts.iter().enumerate().map(|(number, id)| (*id, number)).collect();
    let (mut opened, mut after) = (0, None);
    loop {
        let rows = stores.accounts.every(AllTenants, after, 1_000).await.expect("read");
        let Some(last) = rows.last() else { return opened };
        after = Some(last.id);
        for row in rows {
            let Some(number) = numbers.get(&row.id) else { continue };
            let newest = written.iter().rev().find_map(|written| written.get(number)).cloned();
            let expected = newest.unwrap_or_else(|| password(*number));
            let found = stores.accounts.password(&row);
            opened += usize::from(found.is_ok_and(|found| found.expose_secret() == expected));
        }
    }
}
