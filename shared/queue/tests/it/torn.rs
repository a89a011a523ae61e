//! A record that is cut off: nobody knows what its job was to do. It is buried where it is met, and nobody else is the worse for it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{
    Cancelled, Enqueued, ForgetPlace, IdempotencyKey, JobId, JobState, Lane, LaneName, ListFilter, NewJob, Promoted,
    QueueClient, RecipientKey, ScopeKey, ScopeLimits, UniqueFor, Walk,
};
use tokio::sync::Semaphore;

use crate::server::{PATIENCE, Server, WORK, config, done, job, retry, tenant, until, until_state, work};

const ERROR: &str = "unreadable: its record is cut off";
/// Of a head, and of the sections behind it.
const LENGTHS: [usize; 9] = [0, 1, 2, 7, 12, 21, 30, 44, 50];

/// Leaves only so many bytes of a job's record.
async fn cut(server: &Server, id: JobId, bytes: usize) {
    let (mut redis, tail) = (server.redis().await, &id.as_bytes()[2..]);
    let homes: Vec<String> = redis::cmd("KEYS").arg("{pr:0}:1:jobs*").query_async(&mut redis).await.unwrap();
    for home in homes {
        let raw: Option<Vec<u8>> = redis::cmd("HGET").arg(&home).arg(tail).query_async(&mut redis).await.unwrap();
        if let Some(raw) = raw {
            assert!(raw.len() > bytes, "{} bytes are not enough to cut off", raw.len());
            return redis::cmd("HSET").arg(&home).arg(tail).arg(&raw[..bytes]).exec_async(&mut redis).await.unwrap();
        }
    }
    panic!("{id} has no record");
}

async fn enqueue(client: &QueueClient, job: NewJob) -> JobId {
    client.enqueue(job).await.unwrap().id()
}

fn idempotency(key: &str) -> IdempotencyKey {
    IdempotencyKey { key: key.to_owned(), fingerprint: "same".to_owned() }
}

/// With sections of a key and a recipient.
fn keyed(lane: Lane, key: &str) -> NewJob {
    job("acme").lane(lane).idempotency_key(idempotency(key)).recipient(RecipientKey::of("someone").unwrap())
}

fn lane(name: &str, scopes: &[&str]) -> Lane {
    let scopes = scopes.iter().map(|name| ScopeKey::parse(*name).unwrap()).collect();
    Lane::with_scopes(LaneName::parse(name).unwrap(), scopes)
}

async fn has_buried(client: &QueueClient, torn: &HashSet<JobId>) {
    until("all that is torn is buried", || async {
        let dead = client.dead(0, 256).await.unwrap();
        assert!(dead.iter().all(|letter| torn.contains(&letter.record.id) && letter.error == ERROR), "{dead:?}");
        (dead.len() == torn.len()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_claim_buries_it_and_takes_its_neighbours() {
    let server = Server::start().await;
    let client = server.client().await;
    let limited = ScopeLimits { in_flight: Some(1), ..ScopeLimits::default() };
    client.define_scope(&tenant("acme"), &ScopeKey::parse("narrow").unwrap(), &limited).await.unwrap();
    client.define_scope(&tenant("acme"), &ScopeKey::parse("wide").unwrap(), &ScopeLimits::default()).await.unwrap();
    let (mut torn, mut whole) = (HashSet::new(), Vec::new());
    for (bytes, scopes) in
        LENGTHS.into_iter().flat_map(|bytes| [(bytes, None), (bytes, Some("wide")), (bytes, Some("narrow"))])
    {
        let name = format!("{bytes}-{scopes:?}");
        for place in 0..5 {
            let id = enqueue(&client, keyed(lane(&name, scopes.as_slice()), &format!("{name}-{place}"))).await;
            if place % 2 == 1 {
                cut(&server, id, bytes).await;
                torn.insert(id);
            } else {
                whole.push(id);
            }
        }
    }
    let worker = work(&client, config(16), |_| async { done() });
    for id in whole {
        until_state(&client, id, JobState::Completed).await;
    }
    has_buried(&client, &torn).await;
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.running, stats.lanes), (0, 0, 0));
    assert_eq!(stats.dead, torn.len() as u64);
    let narrow = client.scope(&tenant("acme"), &ScopeKey::parse("narrow").unwrap()).await.unwrap().unwrap();
    assert_eq!((narrow.reserved, narrow.in_flight), (0, 0), "nothing is left of what was reserved for them");
    worker.stop().await;
}

#[tokio::test]
async fn alone_on_an_idle_queue_it_stops_nobody() {
    let server = Server::start().await;
    let client = server.client().await;
    for bytes in LENGTHS {
        let id = enqueue(&client, job("acme")).await;
        cut(&server, id, bytes.min(44)).await;
        let worker = work(&client, config(1), |_| async { done() });
        let next = enqueue(&client, job("other")).await;
        until_state(&client, next, JobState::Completed).await;
        worker.stop().await;
        assert_eq!(client.queue(&WORK).await.unwrap().available, 0, "cut to {bytes}");
    }
}

#[tokio::test]
async fn what_waits_for_its_time_comes_without_it() {
    let server = Server::start_at("@2026-03-01 08:00:00").await;
    let client = server.client().await;
    let start: DateTime<Utc> = "2026-03-01T08:00:00Z".parse().unwrap();
    let (mut torn, mut whole) = (HashSet::new(), Vec::new());
    for (n, bytes) in [12, 30, 44, 50].into_iter().enumerate() {
        for (hours, part) in [(1, 0), (5, 1), (200, 2)] {
            let at = |minutes| start + TimeDelta::hours(hours) + TimeDelta::minutes(minutes);
            for minutes in [1, 2, 3] {
                let key = format!("{n}-{part}-{minutes}");
                let keep = Duration::from_hours(24 * 30);
                let id = enqueue(&client, NewJob { keep, ..keyed(Lane::default(), &key).run_at(at(minutes)) }).await;
                if minutes == 2 {
                    cut(&server, id, bytes).await;
                    torn.insert(id);
                } else {
                    whole.push(id);
                }
            }
        }
    }
    let worker = work(&client, config(16), |_| async { done() });
    // The wide bucket of a far time is opened two days ahead.
    for time in ["@2026-03-01 10:00:00", "@2026-03-01 14:00:00", "@2026-03-09 00:00:00", "@2026-03-09 17:00:00"] {
        server.set_clock(time);
        until("what is due was promoted", || async {
            let ticked = client.tick().await.unwrap();
            (ticked.promoted == 0 && !ticked.more).then_some(())
        })
        .await;
    }
    for id in whole {
        until_state(&client, id, JobState::Completed).await;
    }
    has_buried(&client, &torn).await;
    assert_eq!(client.queue(&WORK).await.unwrap().scheduled, 0);
    worker.stop().await;
}

#[tokio::test]
async fn while_it_runs_its_end_counts_and_it_is_not_run_again() {
    let server = Server::start().await;
    let client = server.client().await;
    let ids: Vec<JobId> = client
        .enqueue_many((b'0'..b'6').map(|n| NewJob { payload: vec![n], ..job("acme") }).collect())
        .await
        .unwrap()
        .iter()
        .map(Enqueued::id)
        .collect();
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let worker = work(&client, config(8), move |claimed| {
        let gate = Arc::clone(&opened);
        async move {
            if claimed.payload[0] < b'4' {
                gate.acquire().await.unwrap().forget();
            } else {
                std::future::pending::<()>().await;
            }
            if claimed.payload[0] % 2 == 0 { done() } else { retry() }
        }
    });
    for id in &ids {
        until_state(&client, *id, JobState::Running).await;
    }
    for (place, id) in ids.iter().enumerate() {
        cut(&server, *id, if place < 2 { 30 } else { 44 }).await;
    }
    gate.add_permits(4);
    for id in [ids[0], ids[2]] {
        until_state(&client, id, JobState::Completed).await;
    }
    let mut torn = HashSet::from([ids[1], ids[3]]);
    has_buried(&client, &torn).await;
    // The last two are held by a process that ends in the midst of them.
    worker.handle.close(PATIENCE).await.unwrap();
    torn.extend(&ids[4..]);
    has_buried(&client, &torn).await;
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.running, stats.available, stats.dead, stats.completed), (0, 0, 4, 2));
    worker.drop_it().await;
}

#[tokio::test]
async fn lists_figures_and_controls_go_on_beside_it() {
    let server = Server::start().await;
    let client = server.client().await;
    let parent = enqueue(&client, job("acme")).await;
    for bytes in LENGTHS {
        let ids: Vec<JobId> = {
            let mut jobs: Vec<NewJob> = (0..3).map(|n| keyed(Lane::default(), &format!("{bytes}-{n}"))).collect();
            for job in &mut jobs {
                job.links.parent = Some(parent);
            }
            client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect()
        };
        cut(&server, ids[1], bytes).await;
        assert!(client.get(ids[1]).await.unwrap().is_none());
        assert_eq!(client.cancel(ids[1]).await.unwrap(), Cancelled::NotFound);
        assert_eq!(client.promote(ids[1]).await.unwrap(), Promoted::NotFound);
    }
    let whole = 1 + 2 * LENGTHS.len();
    let listed = client.list(&tenant("acme"), &ListFilter::default(), None, 100).await.unwrap();
    assert_eq!(listed.items.len(), whole);
    assert_eq!(client.children(parent).await.unwrap().len(), whole - 1);
    let (waiting, _) = client.waiting(&tenant("acme"), &ListFilter::default(), &Walk::default()).await.unwrap();
    assert_eq!(waiting.len(), whole);
    assert_eq!(client.queues().await.unwrap().len(), 1);
    client.cancel_lane(&tenant("acme"), &WORK, &Lane::default()).await.unwrap();
    until("the lane is cancelled", || async {
        client.tick().await.unwrap();
        (client.queue(&WORK).await.unwrap().available == 0).then_some(())
    })
    .await;
    assert_eq!(client.queue(&WORK).await.unwrap().dead, LENGTHS.len() as u64);

    client.pause_tenant(&tenant("acme")).await.unwrap();
    for bytes in LENGTHS {
        let id = enqueue(&client, keyed(Lane::default(), &format!("again-{bytes}"))).await;
        cut(&server, id, bytes).await;
    }
    let mut place = Some(ForgetPlace::default());
    while let Some(from) = place {
        place = client.forget_tenant(&tenant("acme"), &from).await.unwrap().next;
    }
    let (waiting, _) = client.waiting(&tenant("acme"), &ListFilter::default(), &Walk::default()).await.unwrap();
    assert_eq!(waiting, []);
}

#[tokio::test]
async fn a_newer_job_of_its_key_comes_in_its_place() {
    let server = Server::start().await;
    let client = server.client().await;
    for (held, name) in [(UniqueFor::Waiting, "w"), (UniqueFor::Replace, "r")] {
        for bytes in LENGTHS {
            let key = format!("{name}-{bytes}");
            let with_key = || job("acme").unique_key(&key).unique_for(held);
            let first = enqueue(&client, with_key()).await;
            cut(&server, first, bytes).await;
            let second = client.enqueue(with_key()).await.unwrap();
            assert!(matches!(second, Enqueued::Created(id) if id != first), "{second:?}, cut to {bytes}");
        }
    }
}

#[tokio::test]
async fn once_it_is_buried_its_key_is_free() {
    let server = Server::start().await;
    let client = server.client().await;
    for bytes in LENGTHS {
        let with_key = || job("acme").unique_key(format!("a long key, {bytes}"));
        let first = enqueue(&client, with_key()).await;
        cut(&server, first, bytes).await;
        let worker = work(&client, config(1), |_| async { done() });
        let buried = until("it is buried", || async {
            let dead = client.dead(0, 256).await.unwrap();
            dead.into_iter().find(|letter| letter.record.id == first)
        });
        let letter = buried.await;
        worker.stop().await;
        let second = client.enqueue(with_key()).await.unwrap();
        assert!(matches!(second, Enqueued::Created(_)), "{second:?}, cut to {bytes}");
        let third = client.enqueue(with_key()).await.unwrap();
        assert_eq!(third, Enqueued::UniqueTaken(second.id()), "cut to {bytes}");
        client.dead_archived(&[(first, letter.death_number)]).await.unwrap();
        assert_eq!(client.cancel(second.id()).await.unwrap(), Cancelled::Now);
    }
}

#[tokio::test]
async fn those_for_its_recipient_stay_aside_no_longer_than_they_must() {
    let server = Server::start().await;
    let client = server.client().await;
    let numbers = lane("out", &["number"]);
    let one = ScopeLimits {
        recipient_rate: Some(postrider_queue::RateLimit::even(1, Duration::from_millis(300))),
        ..ScopeLimits::default()
    };
    client.define_scope(&tenant("acme"), &numbers.scopes[0], &one).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    for (n, bytes) in [2, 21, 44, 50].into_iter().enumerate() {
        client.pause(&WORK).await.unwrap();
        let mut ids = Vec::new();
        for place in 0..4 {
            let recipient = RecipientKey::of(&format!("someone {n}")).unwrap();
            ids.push(enqueue(&client, keyed(numbers.clone(), &format!("{n}-{place}")).recipient(recipient)).await);
        }
        client.resume(&WORK).await.unwrap();
        until("three are aside", || async { (client.queue(&WORK).await.unwrap().stepped_aside >= 3).then_some(()) })
            .await;
        cut(&server, ids[1], bytes).await;
        for id in [ids[0], ids[2], ids[3]] {
            until_state(&client, id, JobState::Completed).await;
        }
    }
    worker.stop().await;
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.stepped_aside, stats.lanes), (0, 0, 0));
}
