//! Every variable there is: the one list that code, `deploy/env.example` and the README agree with.

mod sign_in;
mod variable;

use std::sync::LazyLock;

pub use variable::{Default, Variable};
use variable::{secret, variable};

const ALL: &[&str] = &["api", "worker", "scheduler"];
const API: &[&str] = &["api"];
const WORKER: &[&str] = &["worker"];

/// All variables, in the order in which an operator meets them.
pub static VARIABLES: LazyLock<Vec<Variable>> = LazyLock::new(|| [WORK, sign_in::SIGN_IN, DUTIES].concat());

const WORK: &[Variable] = &[
    variable(
        "POSTRIDER_CONFIG",
        Default::Off,
        ALL,
        "Path of a TOML file with settings; its keys are these names in lower case. Environment variables win over it.",
    ),
    secret(
        "DATABASE_URL",
        Default::Required,
        &["api", "worker", "scheduler", "migrate"],
        "The database: sqlite:///var/lib/postrider/postrider.db?mode=rwc or postgres://user:password@host:5432/postrider.",
    ),
    variable(
        "DATABASE_MAX_CONNECTIONS",
        Default::Is("16"),
        ALL,
        "The most database connections one process opens (1 to 1000).",
    ),
    secret(
        "REDIS_URL",
        Default::Required,
        ALL,
        "The queue's Redis: redis://[user:password@]host:6379/0; several, separated by commas, share the shards; redis+sentinel://[user:password@]host:26379,host:26379/MASTER follows a master; redis+cluster://host:6379,host:6379 is a Redis Cluster; rediss for TLS. Each needs appendonly yes, maxmemory, and maxmemory-policy noeviction.",
    ),
    variable(
        "QUEUE_SHARDS",
        Default::Is("16"),
        ALL,
        "Into how many shards the queue divides its keys (1 to 1024). Fixed when the first process meets an empty Redis.",
    ),
    variable(
        "REDIS_REPLICAS",
        Default::Is("0"),
        ALL,
        "How many replicas of a Redis server must have a job before it counts as accepted (0 to 10). The servers need min-replicas-to-write of as many.",
    ),
    variable(
        "QUEUE_MEMORY_PERCENT",
        Default::Is("80"),
        ALL,
        "From what percentage of Redis's maxmemory on the API answers 503 to new jobs, while those inside are still finished (1 to 100). The same for all processes.",
    ),
    variable(
        "QUEUE_DEPTH_LIMITS",
        Default::Off,
        API,
        "How many jobs may wait in a queue before the API answers 503 to new ones, such as email=100000,*=1000000, where * means every queue not named. Counted per shard, so no tenant ever has more waiting in a queue.",
    ),
    secret(
        "SECRET_KEYS",
        Default::Required,
        &["api", "worker"],
        "Keys that seal mailbox passwords: id:base64-of-32-bytes, several separated by commas. The first seals, all open. Make one with: openssl rand -base64 32. To replace one, put the new key last everywhere and restart all, then first everywhere and restart all, then POST /v1/secrets/rotate, then remove the old one.",
    ),
    variable(
        "OBJECT_STORE_URL",
        Default::Required,
        ALL,
        "Where raw mail, PDFs and large payloads are kept: file:///var/lib/postrider/objects. All processes need the same one: a folder must be on a volume that they share.",
    ),
    variable(
        "PAYLOAD_LIMIT_BYTES",
        Default::Is("10485760"),
        API,
        "The largest payload of a job (262144 to 104857600). One above 256 KiB (262144) lies in the object store, and the queue carries a reference, which workers of before this setting do not understand: leave it at 262144 until all are replaced.",
    ),
    variable("RUST_LOG", Default::Is("info"), ALL, "What is logged, for example: info,postrider_worker=debug."),
    variable("LOG_FORMAT", Default::Is("text"), ALL, "How log lines look: text for people, json for machines."),
    secret("SENTRY_DSN", Default::Off, ALL, "Where errors are reported, for example https://key@sentry.example.com/1."),
    variable(
        "BIND",
        Default::Is("127.0.0.1:8080"),
        API,
        "Address and port of the HTTP API; port 0 takes a free one and logs it.",
    ),
    variable(
        "RATE_LIMIT_ADDRESS",
        Default::Is("2000/s burst 10000"),
        API,
        "How often one client address may call, before its key is looked at; IPv6 addresses by their first 64 bits. Like 100/s or 600/min burst 50, or off. All API processes count together.",
    ),
    variable(
        "RATE_LIMIT_CALLER",
        Default::Is("2000/s burst 10000"),
        API,
        "How often one key or person may call. A platform key counts for itself only, not for the tenant that it names.",
    ),
    variable(
        "RATE_LIMIT_READS",
        Default::Is("2000/s burst 10000"),
        API,
        "How often the callers of one tenant together may read.",
    ),
    variable(
        "RATE_LIMIT_WRITES",
        Default::Is("1000/s burst 5000"),
        API,
        "How often the callers of one tenant together may change something other than the queue.",
    ),
    variable(
        "RATE_LIMIT_ENQUEUES",
        Default::Is("2000/s burst 10000"),
        API,
        "How often the callers of one tenant together may submit or redrive jobs; a batch of any length counts once, and what QUEUE_DEPTH_LIMITS says bounds it.",
    ),
    variable(
        "RATE_LIMIT_EXPORTS",
        Default::Is("60/min burst 30"),
        API,
        "How often the callers of one tenant together may export.",
    ),
    variable(
        "RATE_LIMIT_TENANTS",
        Default::Off,
        API,
        "Tenants with rates of their own, such as TENANT.enqueues=5000/s burst 20000,TENANT.reads=off, where TENANT is an id.",
    ),
    variable(
        "RATE_LIMIT_SIGN_IN_ADDRESS",
        Default::Is("120/min burst 100"),
        API,
        "How often one client address may try to sign in, use a code or renew a token. Counted in each process by itself while Redis is away.",
    ),
    variable(
        "RATE_LIMIT_SIGN_IN_ACCOUNT",
        Default::Is("30/h burst 10"),
        API,
        "How often one client address may try to sign in to one account, whether it exists or not; all addresses together may ten times as often. Counted in each process by itself while Redis is away.",
    ),
    variable(
        "RATE_LIMIT_PROCESS",
        Default::Is("50000/s"),
        API,
        "How many requests one process takes, of whomever, before it answers 503.",
    ),
    variable(
        "MAX_REQUESTS_IN_FLIGHT",
        Default::Is("4096"),
        API,
        "How many requests one process works on at a time before it answers 503 (1 to 1000000); those of one tenant may be half of them, beyond which it answers 429. Those that wait for a job do not count.",
    ),
    variable(
        "MAX_CONNECTIONS",
        Default::Is("20000"),
        API,
        "How many connections one process keeps open (1 to 1000000); each needs a file handle.",
    ),
    variable(
        "MAX_CONNECTIONS_PER_ADDRESS",
        Default::Is("5000"),
        API,
        "How many connections one client address may keep open with one process (1 to 1000000), IPv6 by its first 64 bits; TRUSTED_PROXIES are not counted.",
    ),
    variable(
        "KEEP_ALIVE_SECONDS",
        Default::Is("75"),
        API,
        "How long a connection may be open between two requests (1 to 3600): longer than a proxy before the API keeps it.",
    ),
    variable(
        "TRUSTED_PROXIES",
        Default::Off,
        API,
        "Addresses or networks of the proxies before the API, such as 10.0.0.0/8: only theirs is an X-Forwarded-For that is believed.",
    ),
    variable(
        "CORS_ORIGINS",
        Default::Off,
        API,
        "Sites whose pages may call the API out of a browser, such as https://app.example.com,http://localhost:3000, with cookies; or * for any, without.",
    ),
    variable(
        "HSTS_SECONDS",
        Default::Is("0"),
        API,
        "How long browsers are to use TLS only (Strict-Transport-Security), where a proxy provides it: 31536000 is a year, 0 is silence.",
    ),
    variable(
        "PLATFORM_KEY_FILE",
        Default::Off,
        API,
        "File into which the first start writes the platform key, readable by its owner only. It is printed once on stdout, too.",
    ),
    variable(
        "METRICS_BIND",
        Default::Off,
        &["worker", "scheduler"],
        "Address and port for Prometheus, for example 127.0.0.1:9090. The API serves /metrics at its own address.",
    ),
    variable(
        "WORKER_QUEUES",
        Default::Is("mail,extraction,quotes,email,upkeep,diagnostics"),
        WORKER,
        "The queues this worker takes jobs from, separated by commas.",
    ),
    variable(
        "WORKER_CONCURRENCY",
        Default::Is("64"),
        WORKER,
        "The most jobs this worker runs at the same time (1 to 10000).",
    ),
    variable(
        "MAIL_JOBS_PER_TENANT",
        Default::Is("10"),
        ALL,
        "The most jobs of one tenant that read mailboxes and run at the same time in all workers together, as many that have mails read by the model, and as many that send (1 to 10000). Three times this is what a tenant whose servers are slow may hold of WORKER_CONCURRENCY; what is left is for others. The same for all processes.",
    ),
    variable(
        "WORKER_GRACE_SECONDS",
        Default::Is("20"),
        WORKER,
        "How long running jobs may finish after a stop signal before they go back to the queue (0 to 3600).",
    ),
    variable(
        "DIAGNOSTIC_LEDGER",
        Default::Off,
        WORKER,
        "File to which diagnostic jobs append a line for every run; drills compare it with what the queue says.",
    ),
    variable(
        "OPENAI_BASE_URL",
        Default::Is("https://api.openai.com/v1"),
        WORKER,
        "The OpenAI-compatible endpoint that reads quote requests.",
    ),
    secret(
        "OPENAI_API_KEY",
        Default::Required,
        WORKER,
        "The key for the endpoint that reads quote requests (OPENAI_BASE_URL).",
    ),
    variable("OPENAI_MODEL", Default::Is("gpt-4.1-mini"), WORKER, "The model that reads quote requests."),
    variable(
        "OPENAI_MODEL_SEES",
        Default::Is("no"),
        WORKER,
        "Whether that model sees: yes shows it the pictures that come with a mail (five at most, of 5 MiB each), and a person \
         compares what it read; no sends such a request to a person.",
    ),
    variable(
        "LLM_TIMEOUT_SECONDS",
        Default::Is("60"),
        WORKER,
        "How long one answer of that endpoint may take (1 to 600).",
    ),
    variable(
        "CLAMD_ADDRESS",
        Default::Off,
        WORKER,
        "Where the malware scanner clamd listens: host:port or unix:/path/of/the/socket. It is asked before a file is kept or read, and waited for while it is away. Its StreamMaxLength should be 20 MB or more.",
    ),
    variable(
        "ALLOWED_PRIVATE_NETWORKS",
        Default::Off,
        &["api", "worker"],
        "Networks that are called although they are not public, such as 10.1.0.0/16,fd00:5::/48: for mail servers of accounts (GMAIL_IMAP_SERVER and GMAIL_SMTP_SERVER, too), and for an issuer's keys where its discovery document names another place than its own. All other such hosts are at public addresses: one that is named by another address is refused, an account whose host leads to one is paused. The same for API and workers.",
    ),
    variable(
        "EXTRA_CA_CERTS",
        Default::Off,
        WORKER,
        "PEM file with certificate authorities that are trusted besides the system's: for mail servers and a model's endpoint of one's own.",
    ),
    variable(
        "MAIL_TIMEOUT_SECONDS",
        Default::Is("30"),
        WORKER,
        "How long a mail server may take to answer one command (1 to 120). Connecting may take 10 seconds of it at most.",
    ),
    variable(
        "SMTP_ANSWER_TIMEOUT_SECONDS",
        Default::Is("120"),
        WORKER,
        "How long a mail server may take to confirm a message that it has whole (1 to 240). Giving up leaves that message in doubt.",
    ),
    variable(
        "PUBLIC_URL",
        Default::Off,
        WORKER,
        "Where customers reach the API: https://quotes.example.com. The mail of a quote then has a link to accept or decline it.",
    ),
    variable(
        "GOOGLE_CLIENT_ID",
        Default::Off,
        &["api", "worker"],
        "The OAuth client that mailboxes of Google accounts are connected with; without it there are none.",
    ),
    secret("GOOGLE_CLIENT_SECRET", Default::Off, WORKER, "That client's secret. Needed with GOOGLE_CLIENT_ID."),
    variable(
        "GOOGLE_REDIRECT_URL",
        Default::Off,
        &["api", "worker"],
        "Where Google sends an owner after the consent: https://the-api.example.com/google/callback, as it stands at that client. Needed with GOOGLE_CLIENT_ID.",
    ),
    variable(
        "GOOGLE_AUTH_URL",
        Default::Is("https://accounts.google.com/o/oauth2/v2/auth"),
        API,
        "Google's page that asks an owner for consent.",
    ),
    variable(
        "GOOGLE_TOKEN_URL",
        Default::Is("https://oauth2.googleapis.com/token"),
        WORKER,
        "Where tokens of Google accounts are got and renewed.",
    ),
    variable(
        "GOOGLE_REVOKE_URL",
        Default::Is("https://oauth2.googleapis.com/revoke"),
        WORKER,
        "Where tokens of Google accounts are given back.",
    ),
    variable(
        "GMAIL_API_URL",
        Default::Is("https://gmail.googleapis.com"),
        WORKER,
        "Where the Gmail API is; paths such as /gmail/v1/users/me/profile are added.",
    ),
    variable(
        "GMAIL_UNITS_PER_MINUTE",
        Default::Is("6000"),
        ALL,
        "Quota units that one Gmail account may spend in a minute (500 to 10000000), as the Google project's quota page says. A message costs 120; sending stays a tenth below. The same for all processes.",
    ),
    variable(
        "GMAIL_IMAP_SERVER",
        Default::Is("tls://imap.gmail.com:993"),
        API,
        "Where mail of Google accounts is read: tls, starttls or plain, then host and port; at a public address, or in ALLOWED_PRIVATE_NETWORKS. Noted in an account when it is added.",
    ),
    variable(
        "GMAIL_SMTP_SERVER",
        Default::Is("tls://smtp.gmail.com:465"),
        API,
        "Where mail of Google accounts is sent whose transport is smtp. As GMAIL_IMAP_SERVER.",
    ),
    variable(
        "MAILBOX_CONNECTIONS",
        Default::Is("3"),
        WORKER,
        "How many connections to one mailbox all workers together have open at once (1 to 100; the same for all workers). One is kept for reading, so with 1 no mailbox is watched. Servers allow few for each login, Dovecot 10 and Gmail 15, and the owner's own programs need theirs.",
    ),
    variable(
        "MAILBOX_IDLE_CONNECTIONS",
        Default::Is("500"),
        WORKER,
        "How many mailboxes this worker watches over IDLE connections of their own, so that new mail is read at once (0 to 20000); each takes a file handle. Workers share the mailboxes evenly; those that none watches are read at their interval, and with 0 all are.",
    ),
    variable(
        "MAILBOX_IDLE_RENEWAL_SECONDS",
        Default::Is("240"),
        WORKER,
        "How long an IDLE goes on before it is begun anew on the same connection (1 to 1680). Servers end one after 30 minutes, routers forget a silent connection sooner, and a dead one is noticed only then.",
    ),
];

const DUTIES: &[Variable] = &[
    variable(
        "SCHEDULER_TICK_MS",
        Default::Is("200"),
        &["scheduler"],
        "How often the scheduler looks for work, in milliseconds (10 to 60000).",
    ),
    variable(
        "AUDIT_RETENTION_DAYS",
        Default::Is("1095"),
        &["scheduler"],
        "How long events of the audit log are kept, in days (30 to 36500). Older ones are removed, and an event says how many.",
    ),
];
