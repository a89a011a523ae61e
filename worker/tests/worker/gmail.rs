use std::time::Duration;

use postrider_sandbox::faults::{Fault, FaultKind, Stage as At, Target};
use postrider_shared::clock::Clock;
use postrider_worker::providers::gmail::{Gmail, GmailError, GmailSettings};
use postrider_worker::providers::transport::Trust;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ADDRESS, Servers};

fn gmail_at(base_url: &str) -> Gmail {
    let settings =
        GmailSettings { base_url: base_url.to_owned(), timeout: Duration::from_secs(5), trust: Trust::default() };
    Gmail::new(&settings, Clock::system()).unwrap()
}

fn gmail(servers: &Servers) -> Gmail {
    gmail_at(&servers.sandbox.addresses.gmail_base_url)
}

async fn token(servers: &Servers) -> SecretString {
    servers.control.issue_tokens(ADDRESS).await.unwrap().access_token.into()
}

fn raw(id: &str, answers: Option<&str>, bytes: usize) -> Vec<u8> {
    let thread = answers.map(|id| format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n")).unwrap_or_default();
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n";
    let body = line.repeat(bytes / line.len() + 1);
    let head = format!("From: <{ADDRESS}>\r\nTo: <anna@example.org>\r\nSubject: Re: Signs\r\n");
    format!("X-Postrider-Message: ledger-1\r\n{head}Message-ID: <{id}>\r\n{thread}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn a_draft_is_sent_once_and_found_under_its_final_id() {
    let servers = Servers::start().await;
    let (gmail, token) = (gmail(&servers), token(&servers).await);
    let asked =
        b"From: <anna@example.org>\r\nTo: <shop@example.com>\r\nSubject: Signs\r\nMessage-ID: <q@x>\r\n\r\nHi\r\n";
    servers.control.deliver(ADDRESS, asked.to_vec(), None).await.unwrap();
    let question = gmail.find(&token, "q@x").await.unwrap().unwrap();
    let draft = gmail.create_draft(&token, &raw("a@x", Some("q@x"), 10), Some(&question.thread_id)).await.unwrap();
    assert_eq!(draft.message.thread_id, question.thread_id);
    let shown = gmail.draft(&token, &draft.id).await.unwrap().unwrap();
    assert_eq!((shown.ledger_id(), shown.message_id(), shown.is_sent()), (Some("ledger-1"), Some("a@x"), false));
    let page = gmail.drafts(&token, Some("a@x"), None).await.unwrap();
    assert_eq!(page.drafts.as_slice(), std::slice::from_ref(&draft));

    let both = tokio::join!(gmail.send_draft(&token, &draft.id), gmail.send_draft(&token, &draft.id));
    let (sent, refused) = match both {
        (Ok(sent), Err(refused)) | (Err(refused), Ok(sent)) => (sent, refused),
        other => panic!("one of two sends it: {other:?}"),
    };
    assert!(matches!(refused, GmailError::NotFound { .. }), "{refused:?}");
    assert_eq!(servers.control.accepted().await.unwrap().len(), 1);
    assert_eq!(gmail.draft(&token, &draft.id).await.unwrap(), None);
    let thread = gmail.thread(&token, &question.thread_id).await.unwrap();
    let ours: Vec<_> = thread.iter().filter(|letter| letter.is_sent()).collect();
    assert_eq!(ours.len(), 1, "{thread:?}");
    assert_eq!((ours[0].id.as_str(), ours[0].ledger_id()), (sent.id.as_str(), Some("ledger-1")));
    let final_id = gmail.message(&token, &sent.id).await.unwrap().unwrap().message_id().unwrap().to_owned();
    assert_ne!(final_id, "a@x", "Google puts its own in place");
    assert_eq!(gmail.find(&token, &final_id).await.unwrap(), Some(sent));
    assert!(!gmail.delete_draft(&token, &draft.id).await.unwrap(), "it was sent");
}

#[tokio::test]
async fn a_large_message_goes_by_upload_and_arrives_byte_for_byte() {
    let servers = Servers::start().await;
    let (gmail, token) = (gmail(&servers), token(&servers).await);
    let large = raw("large@x", None, 9_000_000);
    let draft = gmail.create_draft(&token, &large, None).await.unwrap();
    gmail.send_draft(&token, &draft.id).await.unwrap();
    let accepted = servers.control.accepted().await.unwrap();
    let arrived = servers.control.accepted_raw(accepted[0].seq).await.unwrap();
    assert!(arrived.ends_with(&large[large.len() - 8_999_000..]), "{} of {} bytes", arrived.len(), large.len());
    let refused = gmail.create_draft(&token, &raw("huge@x", None, 36 * 1024 * 1024), None).await.unwrap_err();
    assert!(matches!(refused, GmailError::TooLarge { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_refusal_whose_reason_is_lost_is_not_for_good() {
    for status in ["400 Bad Request", "403 Forbidden"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gmail = gmail_at(&format!("http://{}", listener.local_addr().unwrap()));
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(socket.read_u8().await.unwrap());
            }
            let cut = format!("HTTP/1.1 {status}\r\nContent-Length: 500\r\n\r\n{{\"error\":");
            socket.write_all(cut.as_bytes()).await.unwrap();
        };
        let token = SecretString::from("canary-token");
        let (found, ()) = tokio::join!(gmail.draft(&token, "draft"), server);
        let error = found.unwrap_err();
        assert!(matches!(error, GmailError::Conflict { .. }), "{status}: {error:?}");
        assert!(!error.in_doubt() && !error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn only_a_lost_answer_and_a_failing_server_leave_doubt() {
    let servers = Servers::start().await;
    let (gmail, token) = (gmail(&servers), token(&servers).await);
    let order = async |kind, reply: Option<&str>| {
        let fault = Fault::new(Target::Gmail, kind).at(At::Send).times(1);
        servers.control.order(&Fault { reply: reply.map(str::to_owned), ..fault }).await.unwrap();
        let draft = gmail.create_draft(&token, &raw("d@x", None, 10), None).await.unwrap();
        gmail.send_draft(&token, &draft.id).await.unwrap_err()
    };
    for (reply, doubt) in [
        ("403 userRateLimitExceeded slow", false),
        ("429 rateLimitExceeded slow", false),
        ("403 domainPolicy no", false),
        ("400 invalidArgument no", false),
        ("408 requestTimeout slow", true),
        ("500 backendError later", true),
        ("503 backendError later", true),
    ] {
        let error = order(FaultKind::ServerError, Some(reply)).await;
        assert_eq!(error.in_doubt(), doubt, "{reply}: {error:?}");
    }
    assert!(matches!(order(FaultKind::LoginNo, None).await, GmailError::Unauthorized { .. }));
    assert!(matches!(order(FaultKind::NotJson, None).await, GmailError::Server { status: 502, .. }));
    assert!(matches!(order(FaultKind::Close, None).await, GmailError::AnswerLost { .. }));
    assert!(servers.control.accepted().await.unwrap().is_empty());

    let fault = Fault::new(Target::Gmail, FaultKind::ResetAfterAccept).times(1);
    servers.control.order(&fault).await.unwrap();
    let draft = gmail.create_draft(&token, &raw("e@x", None, 10), None).await.unwrap();
    let error = gmail.send_draft(&token, &draft.id).await.unwrap_err();
    assert!(matches!(error, GmailError::AnswerLost { .. }), "{error:?}");
    assert_eq!(servers.control.accepted().await.unwrap().len(), 1);

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let hung = Gmail::new(
        &GmailSettings {
            base_url: format!("http://{address}"),
            timeout: Duration::from_millis(300),
            trust: Trust::default(),
        },
        Clock::system(),
    );
    let error = hung.unwrap().send_draft(&token, "r1").await.unwrap_err();
    assert!(matches!(error, GmailError::AnswerLost { .. }), "{error:?}");
    drop(silent);
    let error = gmail_at(&format!("http://{address}")).send_draft(&token, "r1").await.unwrap_err();
    assert!(matches!(error, GmailError::Unreachable { .. }), "{error:?}");
    let foreign = gmail.find(&"ya29.nobody".into(), "a@x").await.unwrap_err();
    assert!(matches!(foreign, GmailError::Unauthorized { .. }), "{foreign:?}");
}
