//! A turn with more outcomes than it has time for, answered, repeated and taken further.

use std::sync::LazyLock;

use super::{
    Settling, Token,
    turn::{Answer, Taken, Turn, Verdict, args, read},
};
use crate::{
    client::QueueClient,
    id::JobId,
    job::{Enqueued, Links, NewJob, UniqueFor},
    lane::Lane,
    leaping::Server,
    name::{JobKind, QueueName, Tenant},
    priority::Priority,
    script::{self, Script},
    wire,
};

const WORK: QueueName = QueueName::new("work");
pub(super) const NAME: Token = *b"a-worker";
/// Outcomes of one kind that are applied before anybody looks at the clock.
const SLICE: usize = 16;

pub(super) fn job() -> NewJob {
    NewJob {
        tenant: Tenant::parse("acme").unwrap(),
        id: None,
        kind: JobKind::new("echo"),
        queue: WORK,
        lane: Lane::default(),
        priority: Priority::Normal,
        payload: b"{}".to_vec(),
        run_at: None,
        max_attempts: 3,
        keep: std::time::Duration::from_hours(1),
        unique_key: None,
        unique_for: UniqueFor::default(),
        idempotency_key: None,
        links: Links::default(),
        recipient: None,
    }
}

static WITHOUT_TIME: LazyLock<Script> = LazyLock::new(|| script::without_time(&script::TURN));

pub(super) async fn take(client: &QueueClient, sequence: u64, want: usize, outcomes: Vec<Settling>) -> (Turn, Taken) {
    let mut turn = Turn { shard: 0, token: NAME, sequence, want, outcomes };
    let args = args(&mut turn, &[WORK], "");
    let value = client.link().call(&WITHOUT_TIME, 0, &args).await.unwrap();
    match read(0, value).unwrap() {
        Answer::Taken(taken) => (turn, taken),
        Answer::Gone => panic!("the session is unknown"),
    }
}

/// Begins the session.
pub(super) async fn open(client: &QueueClient) {
    let open = vec![NAME.to_vec(), b"3600000".to_vec(), b"1".to_vec()];
    client.link().call(&script::RENEW, 0, &open).await.unwrap();
}

async fn dead(client: &QueueClient) -> Vec<JobId> {
    client.dead(0, 256).await.unwrap().into_iter().map(|letter| letter.record.id).collect()
}

#[tokio::test]
async fn what_a_turn_has_no_time_for_is_left_alone_and_a_repeat_says_the_same() {
    let server = Server::start();
    let client = server.client().await;
    let jobs = client.enqueue_many((0..48).map(|_| job()).collect()).await.unwrap();
    let ids: Vec<JobId> = jobs.iter().map(Enqueued::id).collect();
    open(&client).await;
    let (_, claimed) = take(&client, 1, 48, Vec::new()).await;
    let claimed: Vec<_> = claimed.read().unwrap().records.into_iter().map(|record| record.id).collect();
    assert_eq!(claimed, ids);

    // Half are given back, half die.
    let outcomes = |ids: &[JobId]| {
        let outcome = |(place, id): (usize, &JobId)| match place % 2 {
            0 => Settling::release(*id, 1, NAME),
            _ => Settling::bury(*id, 1, NAME, "as asked".to_owned()),
        };
        ids.iter().enumerate().map(outcome).collect::<Vec<_>>()
    };
    let (turn, answer) = take(&client, 2, 0, outcomes(&ids)).await;
    let verdicts = answer.verdicts;
    assert!(verdicts[..SLICE].iter().all(|verdict| *verdict == Verdict::Applied), "{verdicts:?}");
    assert!(verdicts[SLICE..].iter().all(|verdict| *verdict == Verdict::Again), "{verdicts:?}");
    let after_one = dead(&client).await;
    assert_eq!(
        after_one,
        turn.outcomes[..SLICE].iter().map(|outcome| outcome.id).skip(1).step_by(2).collect::<Vec<_>>()
    );
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.running, stats.dead), (8, 32, 8), "the others still run");

    // Its answer was lost.
    let (_, repeated) = take(&client, 2, 0, outcomes(&ids)).await;
    assert_eq!(repeated.verdicts, verdicts);
    assert_eq!(dead(&client).await, after_one);

    // What was left goes on, slice by slice, and what was applied is not applied again.
    let mut left = turn.outcomes.into_iter().skip(SLICE).collect::<Vec<_>>();
    for sequence in 3..5 {
        let (turn, answer) = take(&client, sequence, 0, left).await;
        assert_eq!(answer.verdicts.iter().filter(|verdict| **verdict == Verdict::Applied).count(), SLICE);
        left = turn.outcomes.into_iter().skip(SLICE).collect();
    }
    assert!(left.is_empty());
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.running, stats.dead), (24, 0, 24));
    let (_, late) = take(&client, 5, 0, outcomes(&ids[..4])).await;
    assert!(late.verdicts.iter().all(|verdict| *verdict == Verdict::Stale), "{:?}", late.verdicts);

    // Nobody holds anything, and no claim is remembered.
    let mut held = redis::cmd("EXISTS");
    held.arg("{pr:0}:1:runs").arg("{pr:0}:1:claims:a-worker").arg("{pr:0}:1:ended:a-worker");
    let left = client.link().at(0).unwrap().command(&held).await.unwrap();
    assert_eq!(wire::integer(&left).unwrap(), 0);
}

#[tokio::test]
async fn a_session_is_known_until_the_last_step_of_its_end() {
    const HELD: usize = 40; // more than a step takes back
    let server = Server::start();
    let client = server.client().await;
    let jobs = client.enqueue_many((0..HELD).map(|_| job()).collect()).await.unwrap();
    open(&client).await;
    for sequence in 1..=HELD as u64 {
        assert_eq!(take(&client, sequence, 1, Vec::new()).await.1.claimed(), 1);
    }
    let close = || async {
        let left = client.link().call(&script::without_time(&script::CLOSE), 0, &vec![NAME.to_vec()]).await.unwrap();
        wire::integer(&left).unwrap()
    };
    assert_eq!(close().await, 1, "it holds more");
    let running = client.queue(&WORK).await.unwrap().running;
    assert!(running > 0 && running < HELD as u64, "{running} of {HELD}");

    // It still hears what became of the jobs that it gave back, and the others are its own.
    let outcomes = jobs.iter().map(|job| Settling::release(job.id(), 1, NAME)).collect();
    let told = take(&client, HELD as u64 + 1, 0, outcomes).await.1.verdicts;
    assert!(told.contains(&Verdict::Stale) && told.contains(&Verdict::Applied), "{told:?}");

    while close().await == 1 {}
    assert_eq!(client.queue(&WORK).await.unwrap().available, HELD as u64);
    open(&client).await;
    assert_eq!(take(&client, 1, HELD, Vec::new()).await.1.claimed(), HELD, "whoever comes under its name begins anew");
}

#[tokio::test]
async fn what_a_session_ends_while_it_is_closed_hides_none_of_what_it_holds() {
    const MANY: usize = 64; // of one claim, of which the first step looks at half
    let server = Server::start();
    let client = server.client().await;
    let jobs = client.enqueue_many((0..MANY).map(|_| job()).collect()).await.unwrap();
    let ids: Vec<JobId> = jobs.iter().map(Enqueued::id).collect();
    open(&client).await;
    assert_eq!(take(&client, 1, MANY, Vec::new()).await.1.claimed(), MANY);
    let fail = |ids: &[JobId]| ids.iter().map(|id| Settling::bury(*id, 1, NAME, String::new())).collect::<Vec<_>>();
    for sequence in 0..3 {
        let of_slice = fail(&ids[sequence * SLICE..][..SLICE]);
        assert_eq!(take(&client, 2 + sequence as u64, 0, of_slice).await.1.verdicts, [Verdict::Applied; SLICE]);
    }
    let close = async || {
        let left = client.link().call(&script::without_time(&script::CLOSE), 0, &vec![NAME.to_vec()]).await.unwrap();
        wire::integer(&left).unwrap()
    };
    assert_eq!(close().await, 1, "it holds more");
    // A handler ends in this moment.
    assert_eq!(take(&client, 5, 0, fail(&ids[MANY - 1..])).await.1.verdicts, [Verdict::Applied]);
    while close().await == 1 {}
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.running, stats.available, stats.dead), (0, 15, 49));
}
