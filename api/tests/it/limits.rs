//! How often and how much: what is allowed is exact over all processes, what is refused says when to come back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use postrider_api::limits::ClientAddress;
use reqwest::{Method, Response, StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::api::{Api, TenantKeys, answer, problem, shaped};
use crate::wait::until;

/// The value of a header, or nothing.
fn field(response: &Response, name: &str) -> String {
    response.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

/// Submits jobs in 8 tasks until the time is over; how many were accepted and refused.
async fn submit(api: &Api, addresses: &[SocketAddr], key: &str, ends: Instant) -> (u32, u32) {
    let one = async |number: usize| {
        let (mut accepted, mut refused) = (0, 0);
        let url = format!("http://{}/v1/jobs", addresses[number % addresses.len()]);
        while Instant::now() < ends {
            let request = api.client.post(&url).bearer_auth(key).json(&json!({ "kind": "diagnostic.echo" }));
            let response = request.send().await.unwrap();
            if response.status() == StatusCode::ACCEPTED {
                accepted += 1;
                continue;
            }
            shaped(response, "too-many-requests").await;
            refused += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (accepted, refused)
    };
    let found = join_all((0..8).map(one)).await;
    found.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

#[tokio::test]
async fn processes_together_allow_each_tenant_its_own_limit_and_no_more() {
    let mut api = Api::start_with(&[("RATE_LIMIT_ENQUEUES", "5/s burst 5")]).await;
    let addresses = [api.address, api.replica().await, api.replica().await];
    let (one, other) = (api.tenant("One").await, api.tenant("Other").await);
    let began = Instant::now();
    let ends = began + Duration::from_secs(3);
    let found = tokio::join!(submit(&api, &addresses, &one.agent, ends), submit(&api, &addresses, &other.admin, ends));
    let most = 5.0 + 5.0 * began.elapsed().as_secs_f64();
    for (accepted, refused) in [found.0, found.1] {
        assert!(f64::from(accepted) <= most + 1.0, "{accepted} of {most}");
        assert!(refused > 0);
    }
    let both = found.0.0 + found.1.0;
    assert!(f64::from(both) > most + 1.0, "{both} of {most}: one tenant does not take from the other");
}

#[tokio::test]
async fn answers_say_how_the_limits_stand() {
    let api = Api::start_with(&[("RATE_LIMIT_READS", "1/h burst 2"), ("RATE_LIMIT_CALLER", "60/min burst 50")]).await;
    let keys = api.tenant("Told").await;
    let first = api.get(&keys.viewer, "/v1/kinds").send().await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(field(&first, "ratelimit-policy"), r#""caller";q=50;w=50, "reads";q=2;w=7200"#);
    let told = field(&first, "ratelimit");
    assert!(told.starts_with(r#""caller";r=49;t="#) && told.contains(r#", "reads";r=1;t=3600"#), "{told}");
    assert_eq!((field(&first, "ratelimit-limit"), field(&first, "ratelimit-remaining")), ("2".into(), "1".into()));

    // Another key of the tenant has what is left, and then nobody has anything.
    assert_eq!(api.get(&keys.agent, "/v1/kinds").send().await.unwrap().status(), StatusCode::OK);
    for key in [&keys.viewer, &keys.admin] {
        let refused = api.get(key, "/v1/jobs").send().await.unwrap();
        let wait: u64 = field(&refused, "retry-after").parse().unwrap();
        assert!((3_500..=3_600).contains(&wait), "{wait}");
        assert_eq!(field(&refused, "ratelimit-remaining"), "0");
        shaped(refused, "too-many-requests").await;
    }
    // Other classes, other tenants and the platform go on.
    let submitted = api.post(&keys.agent, "/v1/jobs", &json!({ "kind": "diagnostic.echo" })).send().await.unwrap();
    assert_eq!(submitted.status(), StatusCode::ACCEPTED);
    assert!(field(&submitted, "ratelimit").contains(r#""enqueues";r=9999;"#), "{submitted:?}");
    let others = api.tenant("Others").await;
    assert_eq!(api.get(&others.viewer, "/v1/jobs").send().await.unwrap().status(), StatusCode::OK);
    for _ in 0..5 {
        let platform = api.get(&api.platform_key, "/v1/jobs").header("Postrider-Tenant", &keys.id);
        answer(platform, StatusCode::OK).await;
    }
}

#[tokio::test]
async fn addresses_are_counted_before_anybody_asks_for_a_key() {
    let api = Api::start_with(&[("RATE_LIMIT_ADDRESS", "1/h burst 3"), ("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let from = |address: &str| api.get("pr_wrong_key", "/v1/jobs").header("X-Forwarded-For", address);
    for address in ["1.1.1.1", "6.6.6.6, 2001:db8:1:2::3"] {
        for _ in 0..3 {
            problem(from(address), "unauthenticated").await;
        }
        problem(from(address), "too-many-requests").await;
    }
    problem(from("2001:db8:1:2:ffff::9"), "too-many-requests").await;
    problem(from("2001:db8:1:3::3"), "unauthenticated").await;
    problem(from("6.6.6.6"), "unauthenticated").await;
    for _ in 0..10 {
        let probe = api.request(Method::GET, "/healthz").header("X-Forwarded-For", "1.1.1.1");
        assert_eq!(probe.send().await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn attempts_to_sign_in_are_counted_by_name_with_redis_and_without() {
    let mut api = Api::start_with(&[("RATE_LIMIT_SIGN_IN_ACCOUNT", "1/h burst 3")]).await;
    let from = |last: u8| ClientAddress(Some([10, 0, 0, last].into()));
    for name in ["known@example.com", "nobody@example.com"] {
        for spelling in [name.to_owned(), name.to_uppercase(), format!(" {name}")] {
            api.app.limits().sign_in_to(&spelling, from(1)).await.unwrap();
        }
        let refused = api.app.limits().sign_in_to(name, from(1)).await.unwrap_err();
        assert_eq!(refused.kind(), postrider_api::problem::ProblemType::TooManyRequests);
        // Who is elsewhere has tries of their own, but ten addresses have had all there are.
        for elsewhere in 2..=10 {
            for _ in 0..3 {
                api.app.limits().sign_in_to(name, from(elsewhere)).await.unwrap();
            }
        }
        api.app.limits().sign_in_to(name, from(11)).await.unwrap_err();
    }
    let nowhere = ClientAddress(None);
    api.redis.kill();
    for from in [from(1), nowhere] {
        let name = format!("other{from:?}@example.com");
        for _ in 0..3 {
            api.app.limits().sign_in_to(&name, from).await.unwrap();
        }
        api.app.limits().sign_in_to(&name, from).await.unwrap_err();
    }
}

#[tokio::test]
async fn who_guesses_elsewhere_keeps_nobody_from_signing_in() {
    let settings = [("RATE_LIMIT_SIGN_IN_ACCOUNT", "1/h burst 3"), ("TRUSTED_PROXIES", "127.0.0.0/8")];
    let api = Api::start_with(&settings).await;
    let keys = api.tenant("Guessed").await;
    crate::identity::member(&api, &keys, "jo@example.com", "agent").await;
    let login = |address: &str, password: &str| {
        let body = json!({ "email": "jo@example.com", "password": password });
        crate::identity::open(&api, "/v1/auth/login", &body).header("X-Forwarded-For", address)
    };
    for _ in 0..3 {
        problem(login("6.6.6.6", "wrong horse battery"), "sign-in-refused").await;
    }
    problem(login("6.6.6.6", crate::identity::PASSWORD), "too-many-requests").await;
    answer(login("1.1.1.1", crate::identity::PASSWORD), StatusCode::OK).await;
}

#[tokio::test]
async fn who_asks_for_codes_elsewhere_keeps_nobody_from_getting_one() {
    let api = Api::start_with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let keys = api.tenant("Asked for").await;
    crate::identity::member(&api, &keys, "jo@example.com", "agent").await;
    for email in ["jo@example.com", "nobody@example.com"] {
        let ask = |address: &str| {
            crate::identity::open(&api, "/v1/auth/otp", &json!({ "email": email })).header("X-Forwarded-For", address)
        };
        for _ in 0..5 {
            answer(ask("6.6.6.6"), StatusCode::ACCEPTED).await;
        }
        problem(ask("6.6.6.6"), "too-many-requests").await;
        let asked = answer(ask("1.1.1.1"), StatusCode::ACCEPTED).await;
        if email == "jo@example.com" {
            let code = crate::identity::digits(&api, &asked).await;
            let body = json!({ "challenge": asked["challenge"], "code": code });
            answer(crate::identity::open(&api, "/v1/auth/otp/verify", &body), StatusCode::OK).await;
        }
    }
}

#[tokio::test]
async fn a_tenant_does_not_have_an_address_mailed_again_and_again() {
    let api = Api::start().await;
    let (keys, other) = (api.tenant("Inviting").await, api.tenant("Other").await);
    let invite =
        |key: &str, email: &str| api.post(key, "/v1/invitations", &json!({ "email": email, "role": "viewer" })).send();
    for _ in 0..5 {
        assert_eq!(invite(&keys.admin, "ann@example.com").await.unwrap().status(), StatusCode::CREATED);
    }
    shaped(invite(&keys.admin, "Ann@Example.com").await.unwrap(), "too-many-requests").await;
    assert_eq!(invite(&keys.admin, "ben@example.com").await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(invite(&other.admin, "ann@example.com").await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_tenant_does_not_mail_any_number_of_addresses() {
    let api = Api::start().await;
    let (keys, other) = (api.tenant("Inviting").await, api.tenant("Other").await);
    let invite = |key: &str, number: u32| {
        let body = json!({ "email": format!("guest-{number}@example.com"), "role": "viewer" });
        api.post(key, "/v1/invitations", &body).send()
    };
    for number in 0..100 {
        assert_eq!(invite(&keys.admin, number).await.unwrap().status(), StatusCode::CREATED, "{number}");
    }
    let refused = invite(&keys.admin, 100).await.unwrap();
    let wait: u64 = refused.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=24 * 3_600 / 200).contains(&wait), "{wait}");
    shaped(refused, "too-many-requests").await;
    assert_eq!(invite(&other.admin, 100).await.unwrap().status(), StatusCode::CREATED);
}

/// It takes a place for as long as its connection is kept.
async fn submission_without_its_body(api: &Api, keys: &TenantKeys) -> TcpStream {
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 10\r\n\r\n",
        keys.agent
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn one_tenant_does_not_take_all_places_for_requests() {
    let api = Api::start_with(&[("MAX_REQUESTS_IN_FLIGHT", "4")]).await;
    let (keys, other) = (api.tenant("Slow").await, api.tenant("Other").await);
    let mut slow = Vec::new();
    for under_way in [1, 2, 2, 2] {
        slow.push(submission_without_its_body(&api, &keys).await);
        until("it is under way, or refused", async || (api.app.limits().in_flight() >= under_way).then_some(())).await;
    }
    shaped(api.get(&keys.viewer, "/v1/kinds").send().await.unwrap(), "too-many-requests").await;
    answer(api.get(&other.viewer, "/v1/kinds"), StatusCode::OK).await;
    drop(slow);
    until("there is room again", async || {
        let status = api.get(&keys.viewer, "/v1/kinds").send().await.unwrap().status();
        (status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_redis_reading_goes_on() {
    let mut api = Api::start().await;
    let keys = api.tenant("Reads").await;
    answer(api.get(&keys.viewer, "/v1/products"), StatusCode::OK).await;
    api.redis.kill();
    for _ in 0..5 {
        answer(api.get(&keys.viewer, "/v1/products"), StatusCode::OK).await;
    }
    problem(api.post(&keys.agent, "/v1/jobs", &json!({ "kind": "diagnostic.echo" })), "queue-unavailable").await;
}

#[tokio::test]
async fn a_process_takes_on_no_more_than_it_can() {
    let api = Api::start_with(&[("RATE_LIMIT_PROCESS", "1/h burst 3")]).await;
    for _ in 0..3 {
        problem(api.get("pr_wrong_key", "/v1/jobs"), "unauthenticated").await;
    }
    problem(api.get("pr_wrong_key", "/v1/jobs"), "overloaded").await;
    assert_eq!(api.request(Method::GET, "/healthz").send().await.unwrap().status(), StatusCode::OK);

    // Whoever waits for a job is not in the way of others.
    let api = Api::start_with(&[("MAX_REQUESTS_IN_FLIGHT", "1")]).await;
    let keys = api.tenant("Flights").await;
    let id = answer(api.post(&keys.agent, "/v1/jobs", &json!({ "kind": "diagnostic.echo" })), StatusCode::ACCEPTED)
        .await["id"]
        .clone();
    let path = format!("/v1/jobs/{}?wait=1500ms", id.as_str().unwrap());
    let waiting = answer(api.get(&keys.viewer, &path), StatusCode::OK);
    let others = async {
        for _ in 0..20 {
            answer(api.get(&keys.viewer, "/v1/kinds"), StatusCode::OK).await;
        }
        // One whose body does not come holds the only place.
        let _slow = submission_without_its_body(&api, &keys).await;
        until("the slow one is under way", async || (api.app.limits().in_flight() > 0).then_some(())).await;
        problem(api.get(&keys.viewer, "/v1/kinds"), "overloaded").await;
    };
    tokio::join!(waiting, others);
}

#[tokio::test]
async fn who_waits_takes_no_place_however_the_query_is_written() {
    let api = Api::start_with(&[("MAX_REQUESTS_IN_FLIGHT", "1")]).await;
    let keys = api.tenant("Written").await;
    let submit = api.post(&keys.agent, "/v1/jobs", &json!({ "kind": "diagnostic.echo" }));
    let id = answer(submit, StatusCode::ACCEPTED).await["id"].as_str().unwrap().to_owned();
    // As any client may write `wait`.
    let path = format!("/v1/jobs/{id}?w%61it=1500ms");
    let waiting = answer(api.get(&keys.viewer, &path), StatusCode::OK);
    let others = async {
        for _ in 0..20 {
            answer(api.get(&keys.viewer, "/v1/kinds"), StatusCode::OK).await;
        }
    };
    tokio::join!(waiting, others);
}

#[tokio::test]
async fn pages_of_other_sites_may_do_what_the_settings_say() {
    let asked = async |api: &Api, origin: &str| {
        let request = api.request(Method::OPTIONS, "/v1/jobs").header(header::ORIGIN, origin);
        let request = request.header("Access-Control-Request-Method", "POST");
        let request = request.header("Access-Control-Request-Headers", "authorization,idempotency-key");
        let response = request.send().await.unwrap();
        (field(&response, "access-control-allow-origin"), field(&response, "access-control-allow-credentials"))
    };
    let none = Api::start().await;
    assert_eq!(asked(&none, "https://app.example.com").await, (String::new(), String::new()));
    let named = Api::start_with(&[("CORS_ORIGINS", "https://app.example.com,http://localhost:3000")]).await;
    assert_eq!(asked(&named, "https://app.example.com").await, ("https://app.example.com".into(), "true".into()));
    for stranger in ["https://evil.example.com", "https://app.example.com.evil.example", "null"] {
        assert_eq!(asked(&named, stranger).await.0, "", "{stranger}");
    }
    // A refusal can be read by the page, too.
    let refused = named.request(Method::GET, "/v1/jobs").header(header::ORIGIN, "http://localhost:3000");
    let refused = refused.send().await.unwrap();
    assert_eq!(field(&refused, "access-control-allow-origin"), "http://localhost:3000");
    assert!(field(&refused, "access-control-expose-headers").contains("retry-after"));
    assert!(field(&refused, "vary").contains("origin"));
    shaped(refused, "unauthenticated").await;
    let any = Api::start_with(&[("CORS_ORIGINS", "*")]).await;
    assert_eq!(asked(&any, "https://whoever.example").await, ("*".into(), String::new()));
}

#[tokio::test]
async fn answers_carry_what_browsers_need_and_nothing_that_a_caller_put_in() {
    let api = Api::start_with(&[("HSTS_SECONDS", "600")]).await;
    let response = api.request(Method::GET, "/healthz").send().await.unwrap();
    for (name, value) in [
        ("strict-transport-security", "max-age=600; includeSubDomains"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(field(&response, name), value);
    }
    assert!(field(&response, "permissions-policy").contains("camera=()"));

    let ask = async |request: String| {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let evil = "%0d%0aSet-Cookie:%20evil=1";
    for line in [
        format!("GET /v1/{evil} HTTP/1.1"),
        format!("GET /problems/{evil} HTTP/1.1"),
        format!("GET /healthz?x={evil} HTTP/1.1"),
        "GET /healthz HTTP/1.1\r\nX-Request-Id: a\rSet-Cookie: evil=1".to_owned(),
        "GET /healthz HTTP/1.1\r\nX-Request-Id: a\u{0}b".to_owned(),
        "GET /healthz HTTP/1.1\r\nOrigin: https://a\tSet-Cookie: evil=1".to_owned(),
    ] {
        let answer = ask(format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        assert!(answer.starts_with("HTTP/1.1 "), "{line:?}: {answer}");
        assert!(!head.contains("evil"), "{line:?}: {head}");
    }
}
