//! The clock of Redis is set back while sessions are open.

use std::time::Duration;

use super::in_slices::{NAME, job, open, take};
use crate::{client::QueueClient, leaping::Server, record::JobState, script, wire};

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
