//! Secrets are told to nobody, whatever goes wrong. The harness looks through everything that was written at the end of every test; here
//! each sort of secret goes its good way and bad ones, past servers that repeat what they were told, with every process at its most
//! talkative.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postrider_sandbox::google::{Orders, Trouble};
use postrider_tests::canaries::PERSONS_PASSWORD;
use postrider_tests::platform::{Office, owner_answers};
use postrider_tests::{Api, DatabaseKind, Job, Platform, Submitted, canaries, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const NEVER: u32 = 86_400;
const WRONG: &str = "canary-wrong-mailbox-password";
const SYSTEM: &str = "canary-of-the-system-mail";
const POSTMASTER: &str = "postrider@sandbox.example";
const GUESSED: &str = "canary-guessed-password";
const CHOSEN: &str = "canary-chosen-password";
const FORGED: &str = "pr_0123456789ab_canaryforgedkey0123456789abcdef0123456789abcdef0123456789ab";
const FORGED_TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.canaryforgedsignature";

on_both_databases!(no_secret_is_told, a_secret_that_is_told_is_found);

async fn no_secret_is_told(database: DatabaseKind) {
    for secret in [WRONG, SYSTEM, GUESSED, CHOSEN, FORGED, FORGED_TOKEN] {
        canaries::plant(secret);
    }
    let platform = Platform::with(database)
        .setting("RUST_LOG", &"trace")
        .setting("REGISTRATION", &"open")
        .setting("PUBLIC_URL", &"https://quotes.example")
        .setting("SYSTEM_SMTP_USERNAME", &POSTMASTER)
        .setting("SYSTEM_SMTP_PASSWORD", &SYSTEM)
        .setting("LLM_TIMEOUT_SECONDS", &2)
        .setting("MAIL_TIMEOUT_SECONDS", &2)
        .start()
        .await;
    let codes = people(&platform).await;
    let office = mailbox(&platform).await;
    google(&platform, &office).await;
    keys(&office).await;
    platform.no_jobs_left().await;

    everything_that_can_be_read(&platform, &office).await;
    let told = platform.told_in_keys().await;
    assert!(told.is_empty(), "secrets stand in Redis:\n{}", told.join("\n"));
    for code in codes {
        // Six digits alone are found by chance.
        let pattern = format!("code[^0-9a-z]{{1,8}}{code}|[\"' ]{code}[\"' .]");
        let mut grep = Command::new("grep");
        grep.args(["-r", "-a", "-i", "-E", "-o", "--exclude=sandbox.log", "--exclude-dir=sandbox", &pattern]);
        let found = grep.arg(platform.folder()).output().expect("run grep").stdout;
        assert!(found.is_empty(), "a mailed code is told: {}", String::from_utf8_lossy(&found));
    }
    platform.finish().await;
}

/// Registration, sign-in with wrong and right passwords and with codes, tokens refreshed and reused, an invitation, and a reset.
/// Returns the codes that were mailed.
async fn people(platform: &Platform) -> Vec<String> {
    let stranger = Api::new(platform.api_addresses()[0].clone());
    let (jo, ann) = ("jo@sandbox.example", "ann@sandbox.example");
    let client = platform.sandbox().client();
    for (address, password) in [(POSTMASTER, SYSTEM), (jo, "x"), (ann, "x")] {
        client.create_mailbox(address, password).await.expect("make a mailbox");
    }
    let mut codes = Vec::new();

    let echo = STANDARD.encode(format!("\0{POSTMASTER}\0{SYSTEM}"));
    let refusal = format!("454 4.7.0 not now, {POSTMASTER} with {SYSTEM} ({echo})");
    let fault = json!({ "target": "smtp", "kind": "reject_4xx", "stage": "auth", "times": 1, "reply": refusal });
    platform.sandbox().fault(fault).await;
    let body = json!({ "email": jo, "name": "Jo", "password": PERSONS_PASSWORD, "tenant_name": "Jo's plates" });
    let asked = stranger.post("/v1/auth/register", &body).await.expect_status(202).body;
    codes.push(mailed(platform, jo, 1, "with this code: ").await);
    let mistyped = json!({ "challenge": asked["challenge"], "code": codes[0], "password": [GUESSED] });
    stranger.post("/v1/auth/register/confirm", &mistyped).await.expect_status(422);
    let confirmed = json!({ "challenge": asked["challenge"], "code": codes[0] });
    stranger.post("/v1/auth/register/confirm", &confirmed).await.expect_status(201);

    let wrong = json!({ "email": jo, "password": GUESSED });
    stranger.post("/v1/auth/login", &wrong).await.problem(401, "sign-in-refused");
    stranger.post("/v1/auth/login", &json!({ "email": jo, "password": [GUESSED] })).await.expect_status(422);
    let cut = stranger.request(Method::POST, "/v1/auth/login").header("content-type", "application/json");
    let cut = cut.body(format!("{{\"password\": \"{GUESSED}\", \"password\": \"{GUESSED}\"")).send().await.unwrap();
    assert!(cut.status().is_client_error());
    canaries::must_not_tell("a body cut short", &cut.text().await.unwrap());
    let right = json!({ "email": jo, "password": PERSONS_PASSWORD });
    let first = stranger.post("/v1/auth/login", &right).await.expect_status(200).body;
    let refresh = json!({ "refresh_token": first["refresh_token"] });
    stranger.post("/v1/auth/refresh", &refresh).await.expect_status(200);
    stranger.post("/v1/auth/refresh", &refresh).await.problem(401, "sign-in-refused");
    stranger.with_key(FORGED_TOKEN).get("/v1/me").await.problem(401, "unauthenticated");

    let body = json!({ "email": jo, "password": PERSONS_PASSWORD, "carry": "cookie" });
    let login = stranger.request(Method::POST, "/v1/auth/login").header("origin", stranger.base()).json(&body);
    let login = login.send().await.unwrap();
    assert!(login.status().is_success(), "{login:?}");
    let cookie = login.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    canaries::plant(cookie.split_once('=').unwrap().1);
    let seen = stranger.request(Method::GET, "/v1/me").header("cookie", &cookie).send().await.unwrap();
    assert!(seen.status().is_success(), "{seen:?}");

    let signed_in = stranger.post("/v1/auth/login", &right).await.expect_status(200).body;
    let as_jo = stranger.with_key(signed_in["access_token"].as_str().unwrap());
    as_jo.post("/v1/invitations", &json!({ "email": ann, "role": "agent" })).await.expect_status(201);
    let token = mailed(platform, ann, 1, "Accept with this token:\n\n").await;
    canaries::plant(&token);
    let body = json!({ "token": token, "name": "Ann", "password": CHOSEN });
    stranger.post("/v1/auth/invitations/accept", &body).await.expect_status(200);
    stranger.post("/v1/auth/invitations/accept", &body).await.problem(401, "sign-in-refused");

    let asked = stranger.post("/v1/auth/otp", &json!({ "email": ann })).await.expect_status(202).body;
    codes.push(mailed(platform, ann, 2, "Sign in with this code: ").await);
    let body = json!({ "challenge": asked["challenge"], "code": codes[1] });
    let as_ann = stranger.post("/v1/auth/otp/verify", &body).await.expect_status(200).body;
    let as_ann = stranger.with_key(as_ann["access_token"].as_str().unwrap());
    let asked = stranger.post("/v1/auth/password-reset", &json!({ "email": jo })).await.expect_status(202).body;
    codes.push(mailed(platform, jo, 2, "new password with this code: ").await);
    let body = json!({ "challenge": asked["challenge"], "code": codes[2], "password": CHOSEN });
    stranger.post("/v1/auth/password-reset/confirm", &body).await.expect_status(204);
    // Word of it goes out before servers are told to repeat what this one's login never told them.
    mailed(platform, jo, 3, "The password of your account was changed at ").await;
    as_ann.post("/v1/auth/logout", &json!({})).await.expect_status(204);
    codes
}

/// The word after `before` in the newest of so many mails.
async fn mailed(platform: &Platform, address: &str, mails: usize, before: &str) -> String {
    let client = platform.sandbox().client();
    let newest = eventually("the mail", || async {
        let listed = client.messages(address).await.ok()?;
        (listed.len() == mails).then(|| listed.last().map(|mail| mail.uid))?
    })
    .await;
    let raw = client.message(address, newest).await.expect("read the mail");
    let text = String::from_utf8(raw.to_vec()).expect("ASCII").replace("=\r\n", "").replace("\r\n", "\n");
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no `{before}` in {text}"));
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}

/// A mailbox that is read and answered while each server fails in its way, then one whose password is refused.
async fn mailbox(platform: &Platform) -> Office {
    let office = platform.workshop(NEVER).await;
    let echo = STANDARD.encode(format!("\0{}\0{}", office.address, canaries::MAILBOX_PASSWORD));
    let refusal = format!("454 4.7.0 not now, {} ({echo})", canaries::MAILBOX_PASSWORD);
    for fault in [
        json!({ "target": "llm", "kind": "server_error", "times": 1 }),
        json!({ "target": "llm", "kind": "hang", "times": 1 }),
        json!({ "target": "smtp", "kind": "reject_4xx", "stage": "auth", "times": 1, "reply": refusal }),
        json!({ "target": "smtp", "kind": "hang", "stage": "auth", "times": 1 }),
    ] {
        platform.sandbox().fault(fault).await;
    }
    platform.deliver_request(&office, "canary").await;
    office.poll().await;
    office.sent_revision(1).await;
    let raw = platform.sandbox().raw(platform.sandbox().accepted_at_least(1).await.last().unwrap()).await;
    let mail = String::from_utf8_lossy(&raw).replace("=\r\n", "");
    let (_, link) = mail.split_once("https://quotes.example/q/").expect("a link to decide by");
    let link: String = link.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.~".contains(*c)).collect();
    let stranger = Api::new(platform.api_addresses()[0].clone());
    let page = stranger.request(Method::GET, &format!("/q/{link}")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let yes = stranger.request(Method::POST, &format!("/q/{link}")).body("decision=accept").send().await.unwrap();
    assert!(yes.status().is_success() || yes.status().is_redirection(), "{yes:?}");
    // It stands in the mail, which the tenant may read, and nowhere else.
    for process in platform.processes() {
        assert!(!process.log().contains(&link), "{} logs the link", process.name());
    }

    let events = office.api.get("/v1/audit-events?operation=decide_by_link").await.ok();
    let [event] = &events["items"].as_array().unwrap()[..] else {
        panic!("a customer's decision leaves one event: {events:#}")
    };
    assert_eq!((&event["actor_kind"], &event["after"]["state"]), (&json!("customer"), &json!("accepted")), "{event:#}");
    let account = format!("/v1/accounts/{}", office.account_id);
    let poll = json!({ "kind": "poll_mailbox", "payload": { "account_id": office.account_id } });
    platform.sandbox().fault(json!({ "target": "imap", "kind": "hang", "stage": "auth", "times": 1 })).await;
    polled(&office.api, &poll).await;
    let wrong = json!({ "password": [WRONG], "daily_cap": 1 });
    office.api.patch(&account, &wrong).await.expect_status(422);
    office.api.patch(&account, &json!({ "password": WRONG })).await.expect_status(200);
    let refused = polled(&office.api, &poll).await;
    let shown = format!("{refused:?} {}", office.api.get(&account).await.ok());
    canaries::must_not_tell("a job's record, or its account", &shown);
    assert!(shown.contains("(secret)"), "the server's words are kept without the password: {shown}");
    office
}

/// A run of the job that begins from now on, however it ends.
async fn polled(api: &Api, poll: &Value) -> Job {
    loop {
        let answer = api.post("/v1/jobs", poll).await;
        if answer.status == 409 {
            // The scheduler was first.
            let running = answer.problem(409, "unique-key-taken");
            api.finished(running["job_id"].as_str().unwrap()).await;
            continue;
        }
        let job: Submitted = answer.expect_status(202).into();
        return api.finished(&job.id).await;
    }
}

/// A consent whose code fails once and is used twice, tokens that expire, and a grant that ends.
async fn google(platform: &Platform, office: &Office) {
    let address = "canary@lindner-schilder.example";
    let google = platform.sandbox().client();
    let settings = json!({ "poll_interval_seconds": NEVER });
    let (id, consent) = platform.google_account(&office.api, google, address, settings).await;
    let trouble = |status: u16, error: &str, times| Trouble {
        status,
        error: error.to_owned(),
        times,
        delay_ms: 0,
        retry_after: Some(1),
    };
    let troubles = vec![trouble(500, "internal_failure", 1)];
    google.order_google(&Orders { troubles, expires_in: 3, ..Orders::default() }).await.unwrap();
    let query = owner_answers(consent["url"].as_str().unwrap()).await;
    platform.callback(&query).await.expect_status(200);
    let account = format!("/v1/accounts/{id}");
    let connected = Office { account_id: id, address: address.to_owned(), ..office.clone() };
    connected.in_state("active").await;
    platform.callback(&query).await;
    platform.callback(&query.replace("state=", "state=x")).await;

    let troubles = vec![trouble(500, "internal_failure", 1), trouble(400, "invalid_grant", 1)];
    google.order_google(&Orders { troubles, ..Orders::default() }).await.unwrap();
    google.expire_tokens(address).await.unwrap();
    let poll = json!({ "kind": "poll_mailbox", "payload": { "account_id": connected.account_id } });
    polled(&connected.api, &poll).await;
    connected.api.delete(&account).await.expect_status(204);
}

/// A key that is made twice by one request, used and revoked, and a forged one.
async fn keys(office: &Office) {
    let body = json!({ "name": "Canary", "role": "agent" });
    let asked = || office.api.request(Method::POST, "/v1/api-keys").header("idempotency-key", "canary").json(&body);
    let made: Value = asked().send().await.unwrap().json().await.unwrap();
    let again: Value = asked().send().await.unwrap().json().await.unwrap();
    assert_eq!(made["id"], again["id"]);
    let key = made["key"].as_str().unwrap();
    let client = office.api.with_key(key);
    client.get("/v1/mails").await.ok();
    client.get("/v1/users").await.problem(403, "forbidden");
    let id = made["id"].as_str().unwrap();
    office.api.post(&format!("/v1/api-keys/{id}/rotate"), &json!({})).await.ok();
    office.api.delete(&format!("/v1/api-keys/{id}")).await.ok();
    client.get("/v1/mails").await.problem(401, "unauthenticated");
    office.api.with_key(FORGED).get("/v1/mails").await.problem(401, "unauthenticated");
}

/// Every list there is, for the platform and for the tenant, the audit log's export, and the metrics.
async fn everything_that_can_be_read(platform: &Platform, office: &Office) {
    let document = platform.api().get("/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap();
    let lists: Vec<&String> = paths
        .iter()
        .filter(|(path, path_item)| path_item["get"].is_object() && !path.contains('{'))
        .map(|(path, _)| path)
        .collect();
    assert!(lists.len() > 15, "{lists:?}");
    for api in [platform.api(), &office.api] {
        for path in &lists {
            let answer = api.request(Method::GET, path).send().await.unwrap();
            canaries::must_not_tell(path, &answer.text().await.unwrap());
        }
        for path in ["/v1/audit-events/export?format=csv", "/v1/audit-events?limit=200", "/metrics"] {
            let answer = api.request(Method::GET, path).send().await.unwrap();
            assert!(answer.status().is_success(), "{path}: {answer:?}");
            canaries::must_not_tell(path, &answer.text().await.unwrap());
        }
    }
    for job in office.api.all("/v1/jobs").await {
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        canaries::must_not_tell(&path, &office.api.get(&path).await.ok().to_string());
        let path = format!("{path}/log");
        canaries::must_not_tell(&path, &office.api.get(&path).await.body.to_string());
    }
}

/// The look itself: a secret in each sort of place is found there.
async fn a_secret_that_is_told_is_found(database: DatabaseKind) {
    let secret = "canary-that-is-told-on-purpose";
    let platform = Platform::with(database).start().await;
    let tenant = platform.tenant(secret).await;
    let job = tenant.submit("diagnostic.echo", &json!({ "data": secret })).await;
    tenant.finished(&job.id).await;
    let large = format!("{secret}{}", "x".repeat(1024 * 1024));
    let stored = tenant.submit("diagnostic.echo", &json!({ "data": large })).await;
    tenant.finished(&stored.id).await;
    let mut log = std::fs::OpenOptions::new().append(true).open(platform.worker(0).log_path()).unwrap();
    std::io::Write::write_all(&mut log, format!("AUTH {}\n", STANDARD.encode(format!("\0jo\0{secret}"))).as_bytes())
        .unwrap();
    assert_eq!(platform.told().await, Vec::<String>::new(), "nobody knows yet that it is one");

    canaries::plant(secret);
    let told = platform.told().await;
    let tables = match database {
        DatabaseKind::Sqlite => ["postrider.db", "postrider.db"],
        DatabaseKind::Postgres => ["table tenants: ", "table audit_events: "],
    };
    for place in ["/worker-0.log: ", "/redis/", "/objects/"].iter().chain(&tables) {
        assert!(told.iter().any(|line| line.contains(place)), "not found in {place}: {told:#?}");
    }
    assert!(platform.told_in_keys().await.iter().any(|line| line.starts_with("key ")), "not found in a key");
    let api = platform.api().clone();
    let mut asked = JoinSet::new();
    asked.spawn(async move { api.get("/v1/canary-that-is-told-on-purpose").await });
    let asked = asked.join_next().await.unwrap();
    assert!(asked.is_err_and(|error| error.is_panic()), "a problem that tells it must end the test");
    canaries::forget(secret);
    platform.finish().await;
}
