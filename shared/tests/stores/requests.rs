use std::time::Duration;

use postrider_shared::{
    api_keys::{KeyOwner, NewKey},
    database::{AllTenants, StoreError},
    ids::ApiKeyId,
    requests::{Begun, LEASE, StoredAnswer, holding},
    roles::Role,
};
use sea_orm::{ConnectionTrait, TransactionTrait};
use uuid::Uuid;

use crate::scene::{Scene, on_both};

on_both!(
    a_repeated_request_gets_the_first_answer,
    a_request_whose_process_ended_is_taken_over,
    a_request_is_not_held_by_a_clock_that_was_ahead,
    who_works_on_keeps_the_request,
    a_request_that_was_taken_over_commits_nothing_more,
    a_repeat_that_sees_the_first_one_refused_comes_again
);

const OPERATION: &str = "POST /v1/products";
const CALLER: Uuid = Uuid::from_u128(1);

async fn a_repeated_request_gets_the_first_answer(scene: Scene) {
    let requests = &scene.stores.requests;
    let begin = |fingerprint| requests.begin(Some(scene.tenant), CALLER, OPERATION, "key", fingerprint, &[]);
    let begun = futures::future::join_all((0..6).map(|_| begin("a"))).await;
    let mut tickets = Vec::new();
    for begun in begun {
        match begun.unwrap() {
            Begun::Fresh(ticket) => tickets.push(ticket),
            other => assert_eq!(other, Begun::InProgress),
        }
    }
    assert_eq!(tickets.len(), 1);
    assert_eq!(begin("b").await.unwrap(), Begun::Conflict);
    let answer = StoredAnswer {
        status: 201,
        headers: vec![("location".to_owned(), "/v1/products/1".to_owned())],
        body: b"{}\xff".to_vec(),
    };
    requests.finish(tickets.remove(0), &answer).await.unwrap();
    assert_eq!(begin("a").await.unwrap(), Begun::Replay(answer));
    assert!(matches!(
        requests.begin(Some(scene.stranger), CALLER, OPERATION, "key", "a", &[]).await.unwrap(),
        Begun::Fresh(_)
    ));
    let other = requests.begin(Some(scene.tenant), CALLER, "POST /v1/accounts", "key", "a", &[]).await.unwrap();
    assert!(matches!(other, Begun::Fresh(_)), "{other:?}");
    let Begun::Fresh(ticket) = requests.begin(None, CALLER, OPERATION, "key", "a", &[]).await.unwrap() else {
        panic!()
    };
    requests.abandon(ticket).await.unwrap();
    assert!(matches!(requests.begin(None, CALLER, OPERATION, "key", "c", &[]).await.unwrap(), Begun::Fresh(_)));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(requests.prune(AllTenants, scene.now(), 10).await.unwrap(), 4);
}

/// The process whose clock was ahead ended in the midst of the work.
async fn a_request_is_not_held_by_a_clock_that_was_ahead(scene: Scene) {
    let requests = &scene.stores.requests;
    let begin = || requests.begin(Some(scene.tenant), CALLER, OPERATION, "key", "a", &[]);
    let right = scene.now();
    scene.clock.advance(Duration::from_hours(3));
    let Begun::Fresh(first) = begin().await.unwrap() else { panic!() };
    scene.clock.set(right);
    let Begun::Fresh(second) = begin().await.unwrap() else { panic!("it waits for hours") };
    assert_eq!(second.seed(), first.seed(), "it is the same request");
    assert!(!requests.renew(&first).await.unwrap());
    assert_eq!(begin().await.unwrap(), Begun::InProgress);
}

async fn a_request_whose_process_ended_is_taken_over(scene: Scene) {
    let requests = &scene.stores.requests;
    let begin = || requests.begin(Some(scene.tenant), CALLER, OPERATION, "key", "a", &[]);
    let Begun::Fresh(old) = begin().await.unwrap() else { panic!() };
    scene.clock.advance(LEASE.checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!(begin().await.unwrap(), Begun::InProgress);
    scene.clock.advance(Duration::from_millis(1));
    let Begun::Fresh(new) = begin().await.unwrap() else { panic!() };
    let answer = |status| StoredAnswer { status, headers: Vec::new(), body: Vec::new() };
    requests.finish(old, &answer(500)).await.unwrap();
    requests.finish(new, &answer(201)).await.unwrap();
    assert_eq!(begin().await.unwrap(), Begun::Replay(answer(201)));
}

async fn who_works_on_keeps_the_request(scene: Scene) {
    let requests = &scene.stores.requests;
    let begin = || requests.begin(Some(scene.tenant), CALLER, OPERATION, "key", "a", &[]);
    let Begun::Fresh(ticket) = begin().await.unwrap() else { panic!() };
    for _ in 0..4 {
        scene.clock.advance(LEASE / 2);
        assert!(requests.renew(&ticket).await.unwrap());
        assert_eq!(begin().await.unwrap(), Begun::InProgress);
    }
    // Another caller's request under the same key is another request.
    let theirs = requests.begin(Some(scene.tenant), Uuid::from_u128(2), OPERATION, "key", "b", &[]).await.unwrap();
    assert!(matches!(theirs, Begun::Fresh(_)));
    let seed = ticket.seed();
    requests.release(ticket.clone()).await.unwrap();
    let Begun::Fresh(next) = begin().await.unwrap() else { panic!() };
    assert_eq!((next.seed(), next.is_committed()), (seed, false));
    assert!(!requests.renew(&ticket).await.unwrap(), "it is another's now");
}

async fn a_request_that_was_taken_over_commits_nothing_more(scene: Scene) {
    let requests = &scene.stores.requests;
    let begin = || requests.begin(Some(scene.tenant), CALLER, OPERATION, "key", "a", &[]);
    let own = KeyOwner::Tenant(scene.tenant);
    let make = |name: &str| scene.stores.api_keys.issue(own, ApiKeyId::random(), NewKey::named(name, Role::Agent));
    let made = async || {
        let page = scene.stores.api_keys.list(own, None, 10).await.unwrap();
        page.items.into_iter().map(|key| key.name).collect::<Vec<_>>()
    };
    let Begun::Fresh(paused) = begin().await.unwrap() else { panic!() };
    scene.clock.advance(LEASE);
    let Begun::Fresh(next) = begin().await.unwrap() else { panic!() };
    let late = holding(&paused, make("by who was away")).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })));
    assert_eq!(made().await, Vec::<String>::new());
    holding(&next, make("by who carries on")).await.unwrap();
    assert_eq!(made().await, ["by who carries on"]);

    // Its process ends, too, before it could store the answer: whoever carries on knows that it is done.
    scene.clock.advance(LEASE);
    let Begun::Fresh(last) = begin().await.unwrap() else { panic!() };
    assert!(last.is_committed() && last.seed() == paused.seed());
    assert!(!paused.is_committed() && !next.is_committed());
}

/// PostgreSQL only: SQLite has one writer at a time.
async fn a_repeat_that_sees_the_first_one_refused_comes_again(scene: Scene) {
    if scene.database.backend() == "sqlite" {
        return;
    }
    let requests = &scene.stores.requests;
    let tenant = Some(scene.tenant);
    assert!(matches!(requests.begin(tenant, CALLER, OPERATION, "key", "a", &[]).await, Ok(Begun::Fresh(_))));
    let refusal = scene.database.reader().begin().await.unwrap();
    refusal.execute_unprepared("SELECT 1 FROM idempotent_requests FOR UPDATE").await.unwrap();
    let waits = "DO $$ BEGIN ASSERT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted); END $$";
    let ending = async {
        // The repeat has met the row, and wants to look at it.
        for look in 0.. {
            if scene.database.reader().execute_unprepared(waits).await.is_ok() {
                break;
            }
            assert!(look < 1_000, "the repeat does not wait");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        refusal.execute_unprepared("DELETE FROM idempotent_requests").await.unwrap();
        refusal.commit().await.unwrap();
    };
    let (repeat, ()) = tokio::join!(requests.begin(tenant, CALLER, OPERATION, "key", "a", &[]), ending);
    assert_eq!(repeat.unwrap(), Begun::InProgress);
}
