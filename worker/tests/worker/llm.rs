use std::num::NonZeroU32;
use std::time::Duration;

use chrono::TimeDelta;
use postrider_sandbox::faults::{Fault, FaultKind, Target};
use postrider_shared::clock::Clock;
use postrider_worker::providers::llm::{Intent, KnownProduct, Llm, LlmError, LlmSettings, MailText, Question};
use postrider_worker::providers::transport::Trust;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Servers, fault};

fn llm(servers: &Servers, per_minute: u32) -> Llm {
    let settings = LlmSettings {
        base_url: servers.sandbox.addresses.openai_base_url.clone(),
        api_key: "sandbox".into(),
        model: "sandbox".into(),
        timeout: Duration::from_secs(2),
        requests_per_minute: NonZeroU32::new(per_minute).unwrap(),
        trust: Trust::default(),
    };
    Llm::new(settings, Clock::system()).unwrap()
}

fn question<'a>(text: &'a str, aliases: &'a [String]) -> Question<'a> {
    let product = KnownProduct {
        sku: "ROLLUP",
        name: "Roll-up",
        aliases,
        dimensions: vec![],
        materials: vec![],
        unit_label: "pcs",
    };
    let mail = MailText { from: "anna@example.org", subject: "Request", sent_at: None, text, is_reply: false };
    Question { products: vec![product], earlier: vec![], quote: None, mail, attachments: vec![], pictures: vec![] }
}

async fn failed(servers: &Servers, fault: Fault) -> LlmError {
    servers.control.order(&fault).await.unwrap();
    let error = llm(servers, 1_000).ask(&question("Please quote 3 roll-up displays.", &[])).await.unwrap_err();
    servers.control.clear_faults().await.unwrap();
    error
}

#[tokio::test]
async fn a_request_is_read() {
    let servers = Servers::start().await;
    let aliases = ["roll-up displays".to_owned()];
    let answer = llm(&servers, 10).ask(&question("Please quote 3 roll-up displays.", &aliases)).await.unwrap();
    assert_eq!(answer.intent, Intent::NewRequest);
    assert_eq!(answer.items[0].sku.as_deref(), Some("ROLLUP"));
    assert_eq!(answer.items[0].quantity.as_deref(), Some("3"));
}

#[tokio::test]
async fn every_failure_is_asked_once_and_called_by_its_name() {
    let servers = Servers::start().await;
    let order = |kind| fault(Target::Llm, kind, None);
    assert!(matches!(failed(&servers, order(FaultKind::Refusal)).await, LlmError::Refused { .. }));
    assert_eq!(failed(&servers, order(FaultKind::Cut)).await, LlmError::Cut);
    assert!(matches!(failed(&servers, order(FaultKind::MalformedJson)).await, LlmError::Malformed { .. }));
    assert!(matches!(failed(&servers, order(FaultKind::NotInSchema)).await, LlmError::NotInSchema { .. }));
    assert!(matches!(failed(&servers, order(FaultKind::ServerError)).await, LlmError::Server { status: 500, .. }));
    assert!(matches!(failed(&servers, order(FaultKind::NotJson)).await, LlmError::Server { status: 502, .. }));
    assert!(matches!(failed(&servers, order(FaultKind::InsufficientQuota)).await, LlmError::QuotaExhausted { .. }));
    assert!(matches!(failed(&servers, order(FaultKind::NumericCode)).await, LlmError::RateLimited { .. }));
    let hang = failed(&servers, order(FaultKind::Hang)).await;
    assert_eq!(hang, LlmError::Timeout);
    let closed = failed(&servers, order(FaultKind::Close)).await;
    assert!(matches!(closed, LlmError::Network { .. }), "{closed:?}");
    let unauthorized = Fault { reply: Some("401".into()), ..order(FaultKind::ServerError) };
    assert!(matches!(failed(&servers, unauthorized).await, LlmError::Misconfigured { status: 401, .. }));
    let rejected = Fault { reply: Some("400".into()), ..order(FaultKind::ServerError) };
    assert!(matches!(failed(&servers, rejected).await, LlmError::Rejected { status: 400, .. }));
}

#[tokio::test]
async fn a_rate_limit_keeps_all_jobs_away_for_as_long_as_it_says() {
    let servers = Servers::start().await;
    let limited = Fault { retry_after: Some(120), ..fault(Target::Llm, FaultKind::RateLimit, None) };
    servers.control.order(&limited).await.unwrap();
    let llm = llm(&servers, 1_000);
    let begun = Clock::system().now();
    let LlmError::RateLimited { until, .. } = llm.ask(&question("hello", &[])).await.unwrap_err() else {
        panic!("not a rate limit")
    };
    assert!((TimeDelta::seconds(119)..TimeDelta::seconds(130)).contains(&(until - begun)), "{until}");
    let served = servers.control.llm().await.unwrap().len();
    let busy = llm.ask(&question("hello", &[])).await.unwrap_err();
    assert!(matches!(busy, LlmError::Busy { .. }), "{busy:?}");
    assert_eq!(servers.control.llm().await.unwrap().len(), served, "nobody was asked");
}

#[tokio::test]
async fn our_own_rate_is_told_and_not_slept() {
    let servers = Servers::start().await;
    let llm = llm(&servers, 1);
    llm.ask(&question("hello", &[])).await.unwrap();
    let busy = llm.ask(&question("hello", &[])).await.unwrap_err();
    assert!(matches!(busy, LlmError::Busy { .. }), "{busy:?}");
}

/// What a gateway answers while the model behind it is away must not count as the model's answer to a mail.
#[tokio::test]
async fn a_gateway_that_says_200_to_everything_is_no_mails_fault() {
    // As in the process, the first of all has set up TLS.
    let _servers = Servers::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = LlmSettings {
        base_url: format!("http://{}/v1", listener.local_addr().unwrap()),
        api_key: "key".into(),
        model: "model".into(),
        timeout: Duration::from_secs(5),
        requests_per_minute: NonZeroU32::new(1_000).unwrap(),
        trust: Trust::default(),
    };
    let llm = Llm::new(settings, Clock::system()).unwrap();
    for (body, status) in [
        (r#"{"error":{"message":"Provider returned error","code":502}}"#, 502),
        (r#"{"error":{"message":"Internal"}}"#, 502),
        ("<html>We are back soon</html>", 502),
    ] {
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (mut asked, mut part) = (Vec::new(), [0; 4096]);
            while !asked.ends_with(b"}") {
                let read = socket.read(&mut part).await.unwrap();
                asked.extend_from_slice(&part[..read]);
            }
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            socket.write_all(answer.as_bytes()).await.unwrap();
        };
        let asked = question("Please quote 3 roll-up displays.", &[]);
        let (answer, ()) = tokio::join!(llm.ask(&asked), serve);
        let error = answer.unwrap_err();
        assert!(matches!(error, LlmError::Server { status: said, .. } if said == status), "{error:?}");
    }
}

/// A guard before the model that finds fault with one mail, and a key that may not be used, say the same.
#[tokio::test]
async fn one_mail_that_is_forbidden_keeps_no_others_away() {
    let servers = Servers::start().await;
    let llm = llm(&servers, 1_000);
    let forbidden = || Fault { reply: Some("403".into()), ..fault(Target::Llm, FaultKind::ServerError, None) };
    servers.control.order(&forbidden()).await.unwrap();
    let first = llm.ask(&question("hello", &[])).await.unwrap_err();
    assert!(matches!(first, LlmError::Misconfigured { status: 403, .. }), "nobody was answered yet: {first:?}");
    llm.ask(&question("hello", &[])).await.unwrap();
    servers.control.order(&forbidden()).await.unwrap();
    let second = llm.ask(&question("hello", &[])).await.unwrap_err();
    assert!(matches!(second, LlmError::Rejected { status: 403, .. }), "others are answered: {second:?}");
    servers.control.order(&forbidden()).await.unwrap();
    let third = llm.ask(&question("hello", &[])).await.unwrap_err();
    assert!(matches!(third, LlmError::Misconfigured { status: 403, .. }), "nobody was answered since: {third:?}");
}
