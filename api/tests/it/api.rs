//! The API on a socket, with a Redis and a database of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use postrider_api::app::{App, Parts};
use postrider_api::router::router;
use postrider_api::serve::Bounds;
use postrider_migration::{Migrator, MigratorTrait as _};
use postrider_queue::{QueueClient, QueueConfig};
use postrider_shared::accounts::{MailServer, Security};
use postrider_shared::clock::Clock;
use postrider_shared::config::{ConsentConfig, DatabaseConfig, IssuersConfig, ObjectsConfig, Registration, Settings};
use postrider_shared::database::Database;
use postrider_shared::objects::Objects;
use postrider_shared::seal::KeyRing;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::wait::until;

/// A running API. Everything ends with it.
pub struct Api {
    pub address: SocketAddr,
    pub client: Client,
    pub app: App,
    pub redis: Redis,
    pub platform_key: String,
    serving: JoinSet<()>,
    _folder: TempDir,
}

/// A tenant and its keys, one per role.
pub struct TenantKeys {
    pub id: String,
    pub admin: String,
    pub agent: String,
    pub viewer: String,
}

impl Api {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these settings of what stands between the outside and the handlers.
    pub async fn start_with(traffic: &[(&str, &str)]) -> Self {
        Self::start_at(&Clock::system(), Registration::Open, traffic).await
    }

    /// At this time, with these settings.
    pub async fn start_at(clock: &Clock, registration: Registration, settings: &[(&str, &str)]) -> Self {
        let (clock, traffic) = (clock.clone(), settings);
        let issuers: IssuersConfig = Settings::of(settings.iter().copied()).read().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let redis = Redis::start(folder.path()).await;
        let database = database(folder.path()).await;
        let objects = Objects::open(&ObjectsConfig::at("memory:///")).unwrap();
        let app = App::new(Parts {
            quotas: Settings::of([]).read().unwrap(),
            database,
            queue: QueueClient::connect(QueueConfig::new(redis.url()).shards(4)).await.unwrap(),
            objects,
            payload_limit: 1024 * 1024,
            traffic: Settings::of(traffic.iter().copied()).read().unwrap(),
            registration,
            issuers,
            egress: Settings::of(traffic.iter().copied()).read().unwrap(),
            clock,
            consent: Some(consent()),
            keys: KeyRing::parse(&format!("test:{}", "A".repeat(43) + "=")).unwrap(),
            metrics: None,
            stopping: CancellationToken::new(),
        });
        let key = postrider_api::first_key::create(&app, |_| Ok(())).await.unwrap().unwrap();
        let platform_key = key.expose_secret().to_owned();
        let mut serving = JoinSet::new();
        let address = serve(&app, &mut serving).await;
        let client = Client::new();
        Self { address, client, app, redis, platform_key, serving, _folder: folder }
    }

    /// Another API on the same Redis and database, as another process would be; its address.
    pub async fn replica(&mut self) -> SocketAddr {
        let (clock, keys) = (self.app.clock().clone(), self.app.keys().clone());
        self.replica_at(clock, keys).await
    }

    /// The same on a machine of another time, or with other `SECRET_KEYS`.
    pub async fn replica_at(&mut self, clock: Clock, keys: KeyRing) -> SocketAddr {
        let queue = QueueClient::connect(QueueConfig::new(self.redis.url()).shards(4)).await.unwrap();
        let app = App::new(Parts {
            quotas: Settings::of([]).read().unwrap(),
            database: self.app.database().clone(),
            queue,
            objects: self.app.objects().clone(),
            payload_limit: self.app.payload_limit(),
            traffic: self.app.limits().config().clone(),
            registration: self.app.registration(),
            issuers: self.app.issuers().clone(),
            egress: self.app.egress().clone(),
            clock,
            consent: Some(consent()),
            keys,
            metrics: None,
            stopping: CancellationToken::new(),
        });
        serve(&app, &mut self.serving).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub fn get(&self, key: &str, path: &str) -> RequestBuilder {
        self.request(Method::GET, path).bearer_auth(key)
    }

    pub fn post(&self, key: &str, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).bearer_auth(key).json(body)
    }

    /// A new tenant with a key for each role.
    pub async fn tenant(&self, name: &str) -> TenantKeys {
        let tenant = self.post(&self.platform_key, "/v1/tenants", &json!({ "name": name }));
        let tenant = answer(tenant, StatusCode::CREATED).await;
        let id = tenant["id"].as_str().unwrap().to_owned();
        let mut keys = Vec::new();
        for role in ["tenant_admin", "agent", "viewer"] {
            let body = json!({ "name": role, "role": role });
            let key = self.post(&self.platform_key, "/v1/api-keys", &body).header("Postrider-Tenant", &id);
            keys.push(answer(key, StatusCode::CREATED).await["key"].as_str().unwrap().to_owned());
        }
        let [admin, agent, viewer] = keys.try_into().unwrap();
        TenantKeys { id, admin, agent, viewer }
    }
}

/// A Google nobody calls: the API only sends owners there.
fn consent() -> ConsentConfig {
    let server =
        |port| MailServer { host: "127.0.0.1".to_owned(), port, security: Security::Tls, username: String::new() };
    ConsentConfig {
        client_id: "client".to_owned(),
        auth_url: "http://127.0.0.1/auth".to_owned(),
        redirect_url: "http://127.0.0.1/oauth/google/callback".to_owned(),
        imap: server(993),
        smtp: server(465),
    }
}

/// Serves as the process does; the address.
async fn serve(app: &App, serving: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = router(app.clone()).unwrap();
    let bounds = Bounds::of(app.limits().config());
    serving.spawn(postrider_api::serve::until_stopped(listener, routes, bounds, CancellationToken::new()));
    address
}

/// Sends the request, checks the status, gives the body.
pub async fn answer(request: RequestBuilder, status: StatusCode) -> Value {
    let response = request.send().await.unwrap();
    let url = response.url().to_string();
    let found = response.status();
    let body = response.text().await.unwrap();
    assert_eq!(found, status, "{url}: {body}");
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// Sends the request and checks that it is refused with this problem, in the right form.
pub async fn problem(request: RequestBuilder, slug: &str) -> Value {
    shaped(request.send().await.unwrap(), slug).await
}

/// Checks that an answer is this problem, in the right form.
pub async fn shaped(response: Response, slug: &str) -> Value {
    let status = response.status();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let retry_after = response.headers().get("retry-after").cloned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["type"], format!("/problems/{slug}"), "{status}: {body}");
    assert_eq!(content_type, "application/problem+json");
    assert_eq!(wrong_member(&body, status, &request_id), None, "{status}: {body}");
    let waits = status == 503 || status == 429 || slug == "request-in-progress";
    assert_eq!(retry_after.is_some(), waits, "{body}");
    body
}

/// The first member of a problem that an answer of this status and request id must have, and has not.
pub fn wrong_member(problem: &Value, status: StatusCode, request_id: &str) -> Option<&'static str> {
    if problem["status"] != status.as_u16() {
        return Some("status");
    }
    if problem["request_id"] != request_id {
        return Some("request_id");
    }
    ["title", "detail", "next"].into_iter().find(|member| problem[member].as_str().is_none_or(str::is_empty))
}

async fn database(folder: &Path) -> Database {
    let url = format!("sqlite://{}/postrider.sqlite?mode=rwc", folder.display());
    let database = Database::connect(&DatabaseConfig::at(url)).await.unwrap();
    Migrator::up(database.reader(), None).await.unwrap();
    database
}

/// A Redis server on a socket in a folder, set as the queue demands.
pub struct Redis {
    server: Child,
    socket: String,
    folder: String,
}

impl Redis {
    async fn start(folder: &Path) -> Self {
        let socket = folder.join("redis.sock").display().to_string();
        let folder = folder.display().to_string();
        let redis = Self { server: run_redis(&folder, &socket), socket, folder };
        redis.answers().await;
        redis
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket)
    }

    /// Runs one command and gives its answer.
    pub fn command(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-s", &self.socket]).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    pub async fn restart(&mut self) {
        self.server = run_redis(&self.folder, &self.socket);
        self.answers().await;
    }

    async fn answers(&self) {
        until("Redis answers", async || (self.command(&["PING"]) == "PONG").then_some(())).await;
    }
}

fn run_redis(folder: &str, socket: &str) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""])
        .args(["--appendonly", "yes", "--maxmemory", "256mb", "--maxmemory-policy", "noeviction"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
