//! Many mailboxes, each read at its interval by one worker process on a few cores: how late polls start, what memory the worker
//! takes, and whether a server that accepts connections and never says a word delays the mailboxes of others.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, stream};
use postrider_shared::accounts::{AccountSettings, MailServer, NewAccount, Security};
use postrider_shared::clock::Clock;
use postrider_shared::config::DatabaseConfig;
use postrider_shared::database::Database;
use postrider_shared::seal::KeyRing;
use postrider_shared::stores::Stores;
use postrider_shared::tenants::TenantSettings;
use postrider_shared::time_zone::TimeZone;
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform, Report};
use sea_orm::{FromQueryResult, Statement};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

const PASSWORD: &str = "correct horse battery staple";
const MIB: f64 = 1024.0 * 1024.0;
/// How many calls of the set-up and of the evaluation are under way at once.
const AT_ONCE: usize = 32;

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[arg(long, default_value_t = 10_000)]
    mailboxes: usize,
    /// Seconds from one poll of a mailbox to the next. For a shorter run divide it and the number of mailboxes alike.
    #[arg(long, default_value_t = 600)]
    interval: u32,
    /// Seconds that are measured, once every mailbox was read for the first time; an interval if not given.
    #[arg(long)]
    seconds: Option<u32>,
    /// Of the mailboxes, how many are on a server that accepts connections and never answers.
    #[arg(long, default_value_t = 100)]
    silent: usize,
    /// Mailboxes that the worker watches over IDLE connections besides.
    #[arg(long, default_value_t = 500)]
    idle: u32,
    /// The worker's cores, as taskset takes them.
    #[arg(long, default_value = "0,1")]
    cores: String,
}

#[derive(Debug, FromQueryResult)]
struct Occurrence {
    schedule: String,
    tenant_id: Uuid,
    job_id: String,
    run_at: DateTime<Utc>,
}

pub async fn run(options: Options) -> Report {
    let platform =
        Platform::with(DatabaseKind::Postgres).setting("MAILBOX_IDLE_CONNECTIONS", &options.idle).start().await;
    pin(platform.worker(0).pid(), &options.cores);
    let (silent, _sockets) = silent_server().await;
    let dead = connect(&platform, &options, silent).await;
    within(Duration::from_mins(20), "every mailbox to be read once", || async {
        let read = count(&platform, "SELECT count(*) AS n FROM mailbox_cursors WHERE last_polled_at IS NOT NULL").await;
        (read >= options.mailboxes - options.silent).then_some(())
    })
    .await;

    let clock = Clock::system();
    let cpu_before = cpu_seconds(platform.worker(0).pid());
    let scheduler_before = cpu_seconds(platform.scheduler(0).pid());
    let begun = clock.now();
    let measured = options.seconds.unwrap_or(options.interval);
    tokio::time::sleep(Duration::from_secs(measured.into())).await;
    let ended = clock.now();
    let cpu = cpu_seconds(platform.worker(0).pid()) - cpu_before;
    let scheduler_cpu = cpu_seconds(platform.scheduler(0).pid()) - scheduler_before;
    // What was due by now has its time to begin.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let due = occurrences(&platform, begun, ended).await;
    let started = starts(&platform, &due).await;
    // Of an occurrence whose mailbox was just being read there is no job.
    let living = || due.iter().zip(&started).filter(|(occurrence, _)| !dead.contains(&occurrence.schedule));
    let unbegun = living().filter(|(_, started)| started.is_none()).count();
    let mut late: Vec<f64> = living()
        .filter_map(|(occurrence, started)| Some(((*started)? - occurrence.run_at).as_seconds_f64().max(0.0)))
        .collect();
    late.sort_by(f64::total_cmp);
    let at =
        |percent: usize| late.get((late.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or(f64::INFINITY);
    let (rss, peak) = (memory(platform.worker(0).pid(), "VmRSS"), memory(platform.worker(0).pid(), "VmHWM"));

    let mut report = Report::new("mailboxes");
    report
        .figure("mailboxes", options.mailboxes)
        .figure("interval_s", options.interval)
        .figure("silent_mailboxes", options.silent)
        .figure("idle_connections", options.idle)
        .figure("measured_s", measured)
        .figure("polls", late.len())
        .figure("polls_not_begun", unbegun)
        .decimal("lateness_p50_s", at(50))
        .decimal("lateness_p95_s", at(95))
        .decimal("lateness_p99_s", at(99))
        .decimal("lateness_max_s", at(100))
        .decimal("worker_cpu_s_per_s", cpu / f64::from(measured))
        .decimal("scheduler_cpu_s_per_s", scheduler_cpu / f64::from(measured))
        .decimal("worker_rss_mib", rss)
        .decimal("worker_peak_rss_mib", peak);
    let expected = (options.mailboxes - options.silent) * measured as usize / options.interval as usize;
    report
        .must("every mailbox was read at its interval", late.len() + late.len() / 20 >= expected)
        .must("polls start at most 5 s late at the 99th percentile", at(99) <= 5.0)
        .must("the worker takes at most 512 MiB", peak <= 512.0);
    platform.abandon("the mailboxes go on being polled");
    report
}

/// Connects all mailboxes; returns the schedules of those on the silent server.
async fn connect(platform: &Platform, options: &Options, silent: u16) -> HashSet<String> {
    let keys = KeyRing::parse("test:dGVzdHMgc2VhbCB3aXRoIHRoaXMga2V5LCBubyBvbmU=").expect("the platform's key");
    let database = Database::connect(&DatabaseConfig::at(platform.database().url())).await.expect("the database");
    let stores = Stores::new(&database, &Clock::system(), Some(keys));
    let mut tenants = Vec::new();
    for number in 0..100 {
        let tenant = TenantSettings::named(format!("Business {number}"));
        tenants.push(stores.tenants.create(tenant).await.expect("a tenant").id);
    }
    let (imap, smtp) = (platform.sandbox().addresses().imap, platform.sandbox().addresses().smtp);
    let accounts = stream::iter(0..options.mailboxes).map(|number| {
        let (stores, tenant) = (&stores, tenants[number % tenants.len()]);
        let is_silent = number < options.silent;
        async move {
            let address = format!("shop-{number}@mailboxes.example");
            platform.sandbox().client().create_mailbox(&address, PASSWORD).await.expect("make a mailbox");
            let server = |port| MailServer {
                host: "127.0.0.1".to_owned(),
                port,
                security: Security::Plain,
                username: address.clone(),
            };
            let settings = AccountSettings {
                display_name: "Shop".to_owned(),
                imap: server(if is_silent { silent } else { imap.port() }),
                smtp: server(smtp.port()),
                daily_cap: 250,
                time_zone: TimeZone(chrono_tz::UTC),
                poll_interval_seconds: options.interval,
                address: address.clone(),
            };
            let new = NewAccount { settings, password: PASSWORD.to_owned().into() };
            let account = stores.accounts.create(tenant, new).await.expect("connect a mailbox");
            is_silent.then(|| format!("poll_mailbox:{}", account.id))
        }
    });
    accounts.buffer_unordered(AT_ONCE).filter_map(|schedule| async { schedule }).collect().await
}

/// Accepts every connection and keeps it, without a word.
async fn silent_server() -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let port = listener.local_addr().expect("an address").port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut kept = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            kept.push(socket);
        }
    });
    (port, server)
}

async fn occurrences(platform: &Platform, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Occurrence> {
    let connection = platform.database().connection().await;
    // Jitter moves a run up to 30 s: what counts is when it is to begin.
    let sql = "SELECT schedule, tenant_id, job_id, run_at FROM occurrences WHERE run_at >= $1 AND run_at < $2 AND planned_at >= $3";
    let values = [from.into(), to.into(), (from - TimeDelta::minutes(1)).into()];
    let backend = connection.get_database_backend();
    let rows =
        Occurrence::find_by_statement(Statement::from_sql_and_values(backend, sql, values)).all(&connection).await;
    connection.close().await.expect("close the connection");
    rows.expect("read the occurrences")
}

/// When each of these jobs began, if it did.
async fn starts(platform: &Platform, due: &[Occurrence]) -> Vec<Option<DateTime<Utc>>> {
    let starts = stream::iter(due).map(|occurrence| async {
        let api = platform.api().for_tenant(occurrence.tenant_id.to_string());
        let job = api.get(&format!("/v1/jobs/{}", occurrence.job_id)).await;
        let started = job.body["attempts"][0]["started_at"].as_str().or(job.body["started_at"].as_str());
        started.and_then(|started| started.parse().ok())
    });
    starts.buffered(AT_ONCE).collect().await
}

async fn count(platform: &Platform, sql: &str) -> usize {
    let connection = platform.database().connection().await;
    let backend = connection.get_database_backend();
    let row = sea_orm::ConnectionTrait::query_one_raw(&connection, Statement::from_string(backend, sql)).await;
    let count: i64 = row.expect("count").expect("a row").try_get("", "n").expect("a number");
    connection.close().await.expect("close the connection");
    usize::try_from(count).unwrap_or_default()
}

fn pin(pid: Option<u32>, cores: &str) {
    let pid = pid.expect("the worker runs").to_string();
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", cores, &pid]).output().expect("run taskset");
    assert!(pinned.status.success(), "{}", String::from_utf8_lossy(&pinned.stderr));
}

/// In MiB, as the kernel counts it.
fn memory(pid: Option<u32>, name: &str) -> f64 {
    let path = Path::new("/proc").join(pid.expect("the worker runs").to_string()).join("status");
    let status = std::fs::read_to_string(path).expect("the worker's status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kilobytes.expect("a size") * 1024.0 / MIB
}

/// Time on a core, of all threads.
fn cpu_seconds(pid: Option<u32>) -> f64 {
    let path = Path::new("/proc").join(pid.expect("the worker runs").to_string()).join("stat");
    let stat = std::fs::read_to_string(path).expect("the worker's statistics");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum();
    ticks / 100.0
}
