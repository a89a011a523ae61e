//! The clock of Redis is set back while sessions are open.

use std::time::Duration;

use super::in_slices::{NAME, job, open, take};
use crate::{
    client::QueueClient,
    job::NewJob,
    lane::Lane,
    leaping::Server,
    name::{LaneName, ScopeKey},
    recipient::RecipientKey,
    record::JobState,
    scope::{RateLimit, ScopeLimits},
    script, wire,
};

/// As Redis gives it to all sessions after a leap.
const GRACE: u32 = 6;
const LIVES: &[u8; 8] = b"it-lives";
/// Of the session that lives, and how often it says so: more rarely than the grace is long.
const TTL: Duration = Duration::from_mins(1);
const BEAT: u32 = 15;

async fn beat(client: &QueueClient, open: &str) -> bool {
    let args = vec![LIVES.to_vec(), TTL.as_millis().to_string().into_bytes(), open.into()];
    let answer = client.link().call(&script::RENEW, 0, &args).await.unwrap();
    wire::integer(&wire::list(answer).unwrap()[0]).unwrap() == 1
}

#[tokio::test]
async fn who_is_dead_is_rescued_soon_and_who_lives_is_not() {
    let server = Server::start();
    let client = server.client().await;
    server.stand_still("2026-01-01 12:00:00");
    let id = client.enqueue(job()).await.unwrap().id();
    open(&client).await;
    assert_eq!(take(&client, 1, 1, Vec::new()).await.1.read().unwrap().records.len(), 1);
    let dies = vec![NAME.to_vec(), b"6000".to_vec(), b"0".to_vec()];
    client.link().call(&script::RENEW, 0, &dies).await.unwrap();
    assert!(beat(&client, "1").await);
    client.tick().await.unwrap();

    let mut rescued = None;
    for second in 0..4 * BEAT {
        server.stand_still(&format!("2026-01-01 11:00:{second:02}"));
        client.tick().await.unwrap();
        if client.get(id).await.unwrap().unwrap().state != JobState::Running {
            rescued.get_or_insert(second);
        }
        if second % BEAT == BEAT - 1 {
            assert!(beat(&client, "0").await, "taken for dead after {second} s");
        }
    }
    let rescued = rescued.expect("within a minute");
    assert!((GRACE..=GRACE + 1).contains(&rescued), "after {rescued} s");
}

/// A rate of one in two seconds, of a mailbox or of each recipient, when the clock is set back by an hour.
async fn goes_on(limits: ScopeLimits) {
    let server = Server::start();
    let client = server.client().await;
    server.stand_still("2026-01-01 12:00:00");
    let scope = ScopeKey::parse("mailbox:a").unwrap();
    client.define_scope(&job().tenant, &scope, &limits).await.unwrap();
    let lane = Lane::with_scopes(LaneName::default(), vec![scope]);
    let job = NewJob { lane, recipient: RecipientKey::of("r").ok(), ..job() };
    client.enqueue_many(vec![job; 4]).await.unwrap();
    open(&client).await;
    client.tick().await.unwrap();
    let mut sequence = 0;
    let mut taken = async || {
        sequence += 1;
        take(&client, sequence, 4, Vec::new()).await.1.claimed()
    };
    assert_eq!((taken().await, taken().await), (1, 0));
    let mut when = Vec::new();
    for second in 0..10 {
        server.stand_still(&format!("2026-01-01 11:00:{second:02}"));
        client.tick().await.unwrap();
        let now = taken().await;
        assert!(now <= 1);
        if now == 1 {
            when.push(second);
        }
    }
    assert_eq!(when, [2, 4, 6], "it owes what it owed, no more");
}

#[tokio::test]
async fn a_rate_stands_still_for_no_longer_than_before() {
    let rate = || Some(RateLimit::even(1, Duration::from_secs(2)).burst(1));
    goes_on(ScopeLimits { rate: rate(), ..ScopeLimits::default() }).await;
    goes_on(ScopeLimits { recipient_rate: rate(), ..ScopeLimits::default() }).await;
}
