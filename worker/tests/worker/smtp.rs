use std::time::Duration;

use postrider_sandbox::faults::{FaultKind, Stage as At, Target};
use postrider_worker::providers::smtp::{Login, SmtpError, Stage, Submission, submit};
use postrider_worker::providers::transport::{Dialer, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ADDRESS, PASSWORD, Servers, plain};

fn login(servers: &Servers) -> Login {
    Login {
        endpoint: plain(servers.sandbox.addresses.smtp),
        username: ADDRESS.into(),
        credential: PASSWORD.into(),
        dialer: Dialer::default().anywhere(),
    }
}

fn submission(id: &str) -> Submission {
    let body = "a line\r\n.\r\n.. two dots\r\n".repeat(8_000);
    Submission {
        from: ADDRESS.parse().unwrap(),
        to: "anna@example.org".parse().unwrap(),
        raw: format!("From: <{ADDRESS}>\r\nTo: <anna@example.org>\r\nMessage-ID: <{id}>\r\n\r\n{body}").into_bytes(),
    }
}

async fn send(servers: &Servers, id: &str) -> Result<(), SmtpError> {
    submit(&login(servers), &submission(id), std::future::ready(true)).await.map(drop)
}

#[tokio::test]
async fn a_message_arrives_byte_for_byte_at_its_one_recipient() {
    let servers = Servers::start().await;
    let receipt = submit(&login(&servers), &submission("a@x"), std::future::ready(true)).await.unwrap();
    assert!(!receipt.response.is_empty());
    let accepted = servers.control.wait_accepted(1, Duration::from_secs(5)).await.unwrap();
    assert_eq!(accepted[0].rcpt_to, ["anna@example.org"]);
    assert_eq!(accepted[0].mail_from, ADDRESS);
    let raw = servers.control.accepted_raw(accepted[0].seq).await.unwrap();
    let sent = submission("a@x").raw;
    assert_eq!(String::from_utf8_lossy(&raw).trim_end(), String::from_utf8_lossy(&sent).trim_end());
}

#[tokio::test]
async fn refusals_are_classified_and_leave_nothing_behind() {
    let servers = Servers::start().await;
    for at in [At::Mail, At::Rcpt, At::Data, At::End] {
        servers.order(Target::Smtp, FaultKind::Reject4xx, Some(at)).await;
        let deferred = send(&servers, "b@x").await.unwrap_err();
        assert!(matches!(deferred, SmtpError::Deferred { .. }), "{at:?}: {deferred:?}");
        servers.order(Target::Smtp, FaultKind::Reject5xx, Some(at)).await;
        let refused = send(&servers, "b@x").await.unwrap_err();
        assert!(matches!(refused, SmtpError::Refused { .. }), "{at:?}: {refused:?}");
        servers.order(Target::Smtp, FaultKind::DailyLimit, Some(at)).await;
        let spent = send(&servers, "b@x").await.unwrap_err();
        assert!(matches!(spent, SmtpError::DailyLimit { .. }), "{at:?}: {spent:?}");
    }
    assert!(servers.control.accepted().await.unwrap().is_empty());
}

#[tokio::test]
async fn only_a_lost_answer_after_the_last_byte_is_doubt() {
    let servers = Servers::start().await;
    for at in [At::Connect, At::Auth, At::Mail, At::Rcpt, At::Data] {
        for kind in [FaultKind::Close, FaultKind::Reset] {
            servers.order(Target::Smtp, kind, Some(at)).await;
            let error = send(&servers, "c@x").await.unwrap_err();
            assert!(matches!(error, SmtpError::Network { .. }), "{kind:?} at {at:?}: {error:?}");
        }
    }
    assert!(servers.control.accepted().await.unwrap().is_empty());
    servers.order(Target::Smtp, FaultKind::ResetAfterAccept, None).await;
    let doubt = send(&servers, "d@x").await.unwrap_err();
    assert!(matches!(doubt, SmtpError::Ambiguous { .. }), "{doubt:?}");
    assert_eq!(servers.control.accepted().await.unwrap().len(), 1);
    servers.order(Target::Smtp, FaultKind::Close, Some(At::End)).await;
    let doubt = send(&servers, "e@x").await.unwrap_err();
    assert!(matches!(doubt, SmtpError::Ambiguous { .. }), "{doubt:?}");
}

#[tokio::test]
async fn a_wrong_password_is_a_refused_login() {
    let servers = Servers::start().await;
    let wrong = Login { credential: "wrong".into(), ..login(&servers) };
    let refused = submit(&wrong, &submission("f@x"), std::future::ready(true)).await.unwrap_err();
    assert!(matches!(refused, SmtpError::LoginRefused { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_job_that_lost_its_lease_does_not_reach_data() {
    let servers = Servers::start().await;
    let error = submit(&login(&servers), &submission("g@x"), std::future::ready(false)).await.unwrap_err();
    assert_eq!(error, SmtpError::Overtaken);
    assert!(servers.control.accepted().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_left_in_time() {
    // A listener that takes the connection and never speaks; time is paused, so nothing is waited for.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let login = Login {
        endpoint: plain(silent.local_addr().unwrap()),
        username: ADDRESS.into(),
        credential: PASSWORD.into(),
        dialer: Dialer::default().anywhere(),
    };
    let error = submit(&login, &submission("h@x"), std::future::ready(true)).await.unwrap_err();
    assert!(matches!(error, SmtpError::Timeout { stage: Stage::Connect, .. } | SmtpError::Network { .. }), "{error:?}");
}

/// Says what it is told to, and then one line without end; stops by itself long before that hurts. Returns how much of it was read.
async fn babbling(said: &'static [u8], takes: usize) -> (Login, impl Future<Output = usize>) {
    const MOST: usize = 64 * 1024 * 1024;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = plain(listener.local_addr().unwrap());
    let limits = Limits::new(Duration::from_secs(10), Duration::from_secs(10));
    let dialer = Dialer { limits, ..Dialer::default() }.anywhere();
    let login = Login { endpoint, username: String::new(), credential: PASSWORD.into(), dialer };
    let serve = async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(said).await.unwrap();
        let mut heard = vec![0; takes];
        socket.read_exact(&mut heard).await.unwrap();
        let (chunk, mut written) = (vec![b'2'; 64 * 1024], 0);
        while written < MOST && socket.write_all(&chunk).await.is_ok() {
            written += chunk.len();
        }
        // Held open: only the one who reads can end it.
        let _ = socket.read_to_end(&mut heard).await;
        written
    };
    (login, serve)
}

#[tokio::test]
async fn a_server_that_never_ends_its_line_does_not_fill_the_memory() {
    for (said, takes) in [(&b""[..], 0), (&b"220 here\r\n"[..], 4)] {
        let (login, serve) = babbling(said, takes).await;
        let message = submission("i@x");
        let sent = submit(&login, &message, std::future::ready(true));
        let (sent, read) = tokio::join!(sent, serve);
        let error = sent.unwrap_err();
        assert!(matches!(error, SmtpError::Network { .. }), "{error:?}");
        assert!(read < 32 * 1024 * 1024, "{read} bytes were read of one line");
    }
}
