//! Turns that bring more than their time allows are carried out in slices.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use postrider_queue::{Done, JobId, JobState, QueueClient, QueueConfig, Stop};

use crate::{
    proxy::Proxy,
    server::{PATIENCE, Server, WORK, config, job, until, work},
};

const MANY: usize = 512;

/// Its clock goes on by more than a call's time whenever anybody looks at it: each turn has time for one slice.
async fn hurried() -> Server {
    Server::start_at("+0 i0.0025").await
}

#[tokio::test]
async fn outcomes_that_had_to_wait_are_applied_once_although_answers_are_lost() {
    let server = hurried().await;
    let proxy = Proxy::before(&server).await;
    let client = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    let own = server.client().await;
    let payload = |n: usize| format!(r#"{{"n":{n}}}"#).into_bytes();
    let jobs = (0..MANY).map(|n| postrider_queue::NewJob { payload: payload(n), ..job("acme") }).collect();
    let ids: Vec<JobId> = own.enqueue_many(jobs).await.unwrap().iter().map(postrider_queue::Enqueued::id).collect();
    let places: BTreeMap<JobId, usize> = ids.iter().copied().zip(0..).collect();
    let runs: Arc<Mutex<BTreeMap<JobId, usize>>> = Arc::default();
    let (ran, known) = (Arc::clone(&runs), places.clone());
    // Of four jobs one dies, one dies at its second run, one brings another along, and one is done.
    let worker = work(&client, config(MANY).session_ttl(PATIENCE), move |claimed| {
        let run = {
            let mut ran = ran.lock().unwrap();
            let run = ran.entry(claimed.id).or_default();
            *run += 1;
            *run
        };
        let place = known.get(&claimed.id).copied();
        async move {
            match place.map(|place| place % 4) {
                Some(0) => Err(Stop::fail("never")),
                Some(1) if run == 1 => Err(Stop::retry("not yet")),
                Some(1) => Err(Stop::fail("never again")),
                Some(2) => Ok(Done::empty().then(job("acme"))),
                _ => Ok(Done::empty()),
            }
        }
    });
    until("some turns were under way", || async { (runs.lock().unwrap().len() > 16).then_some(()) }).await;
    for lost in 1..=3 {
        proxy.lose_answers(1);
        until("an answer is lost", || async { (proxy.lost() >= lost).then_some(()) }).await;
    }
    let quarter = MANY as u64 / 4;
    until("all have ended", || async {
        let stats = own.queue(&WORK).await.unwrap();
        (stats.completed == 3 * quarter && stats.dead == 2 * quarter && stats.running == 0).then_some(())
    })
    .await;
    worker.stop().await;

    let mut dead = BTreeSet::new();
    for letter in own.dead(0, 256).await.unwrap() {
        assert!(dead.insert(letter.record.id), "{} died twice", letter.record.id);
        let attempts = places[&letter.record.id] % 4 + 1;
        assert_eq!((letter.record.attempt, letter.record.history.len()), (u32::try_from(attempts).unwrap(), attempts));
    }
    assert_eq!(dead.len(), MANY / 2);
    let runs = runs.lock().unwrap().clone();
    assert_eq!(runs.len(), MANY + MANY / 4, "each ran, and so did what they brought along");
    for (id, runs) in &runs {
        let expected = if places.get(id).is_some_and(|place| place % 4 == 1) { 2 } else { 1 };
        assert_eq!(*runs, expected, "{id}");
    }
    for id in &ids {
        let state = own.get(*id).await.unwrap().unwrap().state;
        assert_eq!(state, if places[id] % 4 < 2 { JobState::Dead } else { JobState::Completed });
    }
}
