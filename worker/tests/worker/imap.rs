use chrono::Days;
use postrider_sandbox::faults::{FaultKind, Stage as At, Target};
use postrider_shared::clock::Clock;
use postrider_worker::providers::imap::{ImapError, Login, Session, Since, Stage};
use postrider_worker::providers::transport::Dialer;

use super::{ADDRESS, PASSWORD, Servers, plain};

fn login(servers: &Servers) -> Login {
    Login {
        endpoint: plain(servers.sandbox.addresses.imap),
        username: ADDRESS.into(),
        credential: PASSWORD.into(),
        dialer: Dialer::default().anywhere(),
    }
}

fn mail(subject: &str) -> String {
    format!("From: a@example.org\r\nTo: {ADDRESS}\r\nSubject: {subject}\r\n\r\nHello\r\n.\r\n")
}

async fn opened(servers: &Servers) -> Session {
    let mut session = Session::open(&login(servers)).await.unwrap();
    session.select("INBOX").await.unwrap();
    session
}

#[tokio::test]
async fn new_mail_is_listed_from_a_position_and_fetched_as_it_is() {
    let servers = Servers::start().await;
    let mut uids = Vec::new();
    for subject in ["one", "two", "three"] {
        uids.push(servers.control.deliver(ADDRESS, mail(subject), None).await.unwrap().uid);
    }
    let mut session = Session::open(&login(&servers)).await.unwrap();
    let selected = session.select("INBOX").await.unwrap();
    assert!(selected.uid_validity.is_some());
    assert_eq!(selected.uid_next, Some(uids[2] + 1));
    let listed = session.list(Since::Uid(uids[1]), 10).await.unwrap();
    assert_eq!(listed.iter().map(|listed| listed.uid).collect::<Vec<_>>(), uids[1..]);
    assert_eq!(listed[0].size, Some(u32::try_from(mail("two").len()).unwrap()));
    assert!(listed[0].received_at.is_some());
    let body = session.fetch(uids[1], 1_000_000).await.unwrap().unwrap();
    assert_eq!(body, mail("two").as_bytes());
    // `n:*` answers with the last message even if it is older than n.
    assert_eq!(session.list(Since::Uid(uids[2] + 1), 10).await.unwrap(), []);
    assert_eq!(session.fetch(uids[2] + 7, 1_000_000).await.unwrap(), None);
    assert_eq!(session.list(Since::Uid(1), 2).await.unwrap().len(), 2);
    session.close().await;
}

#[tokio::test]
async fn without_a_position_the_day_of_arrival_decides() {
    let servers = Servers::start().await;
    let uid = servers.control.deliver(ADDRESS, mail("one"), None).await.unwrap().uid;
    let mut session = opened(&servers).await;
    let today = Clock::system().now().date_naive();
    let listed = session.list(Since::Day(today - Days::new(1)), 10).await.unwrap();
    assert_eq!(listed.iter().map(|listed| listed.uid).collect::<Vec<_>>(), [uid]);
    assert_eq!(session.list(Since::Day(today + Days::new(2)), 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_wrong_password_is_told_from_a_server_that_is_away() {
    let servers = Servers::start().await;
    let wrong = Login { credential: "wrong".into(), ..login(&servers) };
    let refused = Session::open(&wrong).await.err().unwrap();
    assert!(matches!(refused, ImapError::LoginRefused { certain: true, .. }), "{refused:?}");
    let injected = Login { credential: "x\r\nA2 DELETE INBOX".into(), ..login(&servers) };
    assert_eq!(Session::open(&injected).await.err(), Some(ImapError::Unsendable));
    let nobody = Login { endpoint: plain("127.0.0.1:1".parse().unwrap()), ..login(&servers) };
    let away = Session::open(&nobody).await.err().unwrap();
    assert!(matches!(away, ImapError::Unreachable { .. }), "{away:?}");
}

#[tokio::test]
async fn servers_that_close_are_noticed_at_every_stage() {
    let servers = Servers::start().await;
    servers.control.deliver(ADDRESS, mail("one"), None).await.unwrap();
    for at in [At::Connect, At::Auth, At::Select, At::Fetch] {
        servers.order(Target::Imap, FaultKind::Close, Some(at)).await;
        let failed = async {
            let mut session = Session::open(&login(&servers)).await?;
            session.select("INBOX").await?;
            session.list(Since::Uid(1), 10).await
        };
        let error = failed.await.unwrap_err();
        assert!(matches!(error, ImapError::Closed { .. } | ImapError::Unreachable { .. }), "{at:?}: {error:?}");
    }
    assert_eq!(opened(&servers).await.list(Since::Uid(1), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn literals_without_end_are_refused_and_rubbish_is_called_so() {
    let servers = Servers::start().await;
    let uid = servers.control.deliver(ADDRESS, mail("one"), None).await.unwrap().uid;
    for kind in [FaultKind::HugeLiteral, FaultKind::GarbageLiteral] {
        servers.order(Target::Imap, kind, Some(At::Fetch)).await;
        let error = opened(&servers).await.fetch(uid, 1_000_000).await.unwrap_err();
        let expected = matches!(
            error,
            ImapError::TooMuch { stage: Stage::Fetch }
                | ImapError::Protocol { stage: Stage::Fetch, .. }
                | ImapError::Withheld { .. }
        );
        assert!(expected, "{kind:?}: {error:?}");
        assert!(!error.to_string().contains("Hello"), "mail must not leak into errors");
    }
    let long = "x".repeat(3_000_000);
    let uid = servers.control.deliver(ADDRESS, mail(&long), None).await.unwrap().uid;
    let error = opened(&servers).await.fetch(uid, 1_000_000).await.unwrap_err();
    assert_eq!(error, ImapError::TooMuch { stage: Stage::Fetch });
    assert!(opened(&servers).await.fetch(uid, 4_000_000).await.unwrap().is_some());
}

#[tokio::test]
async fn missing_fields_are_missing_and_not_invented() {
    let servers = Servers::start().await;
    let uid = servers.control.deliver(ADDRESS, mail("one"), None).await.unwrap().uid;
    servers.order(Target::Imap, FaultKind::MissingFields, Some(At::Select)).await;
    let mut session = Session::open(&login(&servers)).await.unwrap();
    let selected = session.select("INBOX").await.unwrap();
    assert!(selected.uid_next.is_none() || selected.uid_validity.is_none(), "{selected:?}");
    servers.order(Target::Imap, FaultKind::MissingFields, Some(At::Fetch)).await;
    let error = session.fetch(uid, 1_000_000).await;
    assert!(matches!(error, Err(ImapError::Withheld { .. }) | Ok(None)), "{error:?}");
    assert!(session.fetch(uid, 1_000_000).await.unwrap().is_some());
}
