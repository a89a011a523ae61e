//! What claims of many jobs give to lanes that had no work, and what to those that wait for their turn.

use std::time::Duration;

use super::{TOKEN, WORK, ask, in_lane, turn};
use crate::{client::QueueClient, job::NewJob, leaping::Server, script, wire};

/// Its payload is the name of its lane.
fn of(lane: &str) -> NewJob {
    NewJob { id: None, payload: lane.as_bytes().to_vec(), ..in_lane(lane, &[]) }
}

/// A queue in which each of so many lanes has work, and a session that may claim it.
async fn busy(server: &Server, lanes: usize, jobs: usize) -> QueueClient {
    let client = server.client().await;
    let opened = vec![TOKEN.to_vec(), b"100000000".to_vec(), b"1".to_vec()];
    client.link().call(&script::RENEW, 0, &opened).await.unwrap();
    for n in 0..lanes {
        client.enqueue_many(vec![of(&format!("busy-{n}")); jobs]).await.unwrap();
    }
    client
}

/// The lanes of up to so many jobs, as they are claimed.
async fn claim(client: &QueueClient, sequence: u64, want: usize) -> Vec<String> {
    let answer = client.link().call(&script::TURN, 0, &turn(sequence, want, &[WORK], "")).await.unwrap();
    let claimed = wire::list(answer).unwrap().into_iter().nth(2).unwrap();
    let raws = wire::list(claimed).unwrap().into_iter().skip(1).step_by(2).map(|raw| wire::bytes(raw).unwrap());
    raws.map(|raw| String::from_utf8(raw[45..].to_vec()).unwrap()).collect()
}

fn busy_ones(lanes: &[String]) -> usize {
    lanes.iter().filter(|lane| lane.starts_with("busy")).count()
}

#[tokio::test]
async fn a_new_lane_is_given_no_more_than_it_paid_for() {
    for one_by_one in [true, false] {
        let server = Server::start();
        let client = busy(&server, 20, 800).await;
        let mut rounds = Vec::new();
        for round in 0..12 {
            rounds.push(busy_ones(&claim(&client, round, 256).await));
            for lane in 0..4 {
                let lane = of(&format!("new-{round}-{lane}"));
                if one_by_one {
                    for _ in 0..64 {
                        client.enqueue(lane.clone()).await.unwrap();
                    }
                } else {
                    client.enqueue_many(vec![lane; 64]).await.unwrap();
                }
            }
        }
        let turns: usize = rounds[1..].iter().sum();
        assert!(turns >= 11 * 256 * 2 / 5, "one by one {one_by_one}: of 256 jobs each, lanes in turn had {rounds:?}");
    }
}

#[tokio::test]
async fn a_flood_that_was_enqueued_has_not_used_up_what_others_may_pay_with() {
    let server = Server::start();
    let client = busy(&server, 20, 64).await;
    assert_eq!(claim(&client, 0, 1).await, ["busy-0"]);
    client.enqueue(of("new")).await.unwrap();
    assert_eq!(claim(&client, 1, 1).await, ["new"]);
}

#[tokio::test]
async fn half_is_given_in_turn_however_slow_the_queue_is() {
    let server = Server::start();
    let client = busy(&server, 20, 20).await;
    let mut at_once = 0;
    for n in 0..300 {
        server.leap((n + 1) * 61_000);
        let lane = format!("new-{n}");
        client.enqueue(of(&lane)).await.unwrap();
        // After what was given on credit.
        at_once += u32::from(claim(&client, n, 1).await == [lane] && n >= 150);
    }
    assert!((60..=90).contains(&at_once), "{at_once} of 150");
}

#[tokio::test]
async fn new_lanes_keep_their_order_and_those_that_cannot_pay_wait_for_their_turn() {
    let server = Server::start();
    let client = busy(&server, 20, 40).await;
    claim(&client, 0, 256).await;
    let _: String = ask(&client, "SET", &[b"{pr:0}:1:first:tenant:work:acme", b"129"]).await;
    let many = |name: &str, lanes: usize| (0..lanes).map(|n| of(&format!("{name}-{n:02}"))).collect::<Vec<_>>();
    client.enqueue_many(many("a", 50)).await.unwrap();
    client.enqueue(of("b")).await.unwrap();
    client.enqueue_many(many("c", 30)).await.unwrap();
    let mut all = Vec::new();
    for sequence in 1..10 {
        all.extend(claim(&client, sequence, 100).await);
    }
    let names = |jobs: &[NewJob]| -> Vec<String> {
        jobs.iter().map(|job| String::from_utf8(job.payload.clone()).unwrap()).collect()
    };
    let paid = [names(&many("a", 50)), vec!["b".to_owned()], names(&many("c", 13))].concat();
    assert_eq!(all[..64], paid, "as they came, as far as the credit goes");
    let rest: Vec<String> = all[64..].iter().filter(|lane| lane.starts_with('c')).cloned().collect();
    assert_eq!(rest, names(&many("c", 30))[13..], "the others in turn");
    assert_eq!(busy_ones(&all), 800 - 256);
    let left: bool = ask(&client, "EXISTS", &[b"{pr:0}:1:ahead"]).await;
    assert!(!left, "nobody stands first any more");
}

#[tokio::test]
async fn the_longest_wait_is_found_behind_new_lanes() {
    let server = Server::start();
    let client = busy(&server, 20, 400).await;
    for sequence in 0..4 {
        claim(&client, sequence, 256).await;
    }
    server.leap(30_000);
    for n in 0..200 {
        client.enqueue(of(&format!("new-{n}"))).await.unwrap();
    }
    let age = client.queue(&WORK).await.unwrap().oldest_age.unwrap();
    assert!(age >= Duration::from_secs(30), "{age:?}");
}
