//! Logging in with a token: a good one opens its own mailbox, and a refused one ends the conversation as the protocol wants.

use postrider_worker::providers::credential::Credential;
use postrider_worker::providers::imap::{self, ImapError, Session};
use postrider_worker::providers::smtp::{self, SmtpError, Submission};
use postrider_worker::providers::transport::Dialer;

use super::{ADDRESS, Servers, plain};

async fn token(servers: &Servers, address: &str) -> String {
    servers.control.issue_tokens(address).await.unwrap().access_token
}

async fn read(servers: &Servers, token: &str) -> Result<(), ImapError> {
    let login = imap::Login {
        endpoint: plain(servers.sandbox.addresses.imap),
        username: ADDRESS.into(),
        credential: Credential::Bearer(token.into()),
        dialer: Dialer::default().anywhere(),
    };
    let mut session = Session::open(&login).await?;
    session.select("INBOX").await?;
    session.close().await;
    Ok(())
}

async fn send(servers: &Servers, token: &str) -> Result<(), SmtpError> {
    let login = smtp::Login {
        endpoint: plain(servers.sandbox.addresses.smtp),
        username: ADDRESS.into(),
        credential: Credential::Bearer(token.into()),
        dialer: Dialer::default().anywhere(),
    };
    let submission = Submission {
        from: ADDRESS.parse().unwrap(),
        to: "anna@example.org".parse().unwrap(),
        raw: b"Subject: x\r\n\r\nx\r\n".to_vec(),
    };
    smtp::submit(&login, &submission, async { true }).await.map(drop)
}

#[tokio::test]
async fn a_good_token_opens_its_mailbox() {
    let servers = Servers::start().await;
    let token = token(&servers, ADDRESS).await;
    read(&servers, &token).await.unwrap();
    send(&servers, &token).await.unwrap();
    assert_eq!(servers.control.accepted().await.unwrap()[0].account.as_deref(), Some(ADDRESS));
}

#[tokio::test]
async fn a_token_that_is_expired_unknown_or_anothers_is_refused_for_certain() {
    let servers = Servers::start().await;
    servers.control.create_mailbox("other@example.com", "x").await.unwrap();
    let expired = token(&servers, ADDRESS).await;
    servers.control.expire_tokens(ADDRESS).await.unwrap();
    let anothers = token(&servers, "other@example.com").await;
    for token in [expired.as_str(), anothers.as_str(), "made up", "", "two\r\nlines"] {
        let error = read(&servers, token).await.unwrap_err();
        assert!(matches!(error, ImapError::LoginRefused { certain: true, .. }), "{error}");
        let error = send(&servers, token).await.unwrap_err();
        assert!(matches!(error, SmtpError::LoginRefused { .. }), "{error}");
    }
    assert!(servers.control.accepted().await.unwrap().is_empty());
}
