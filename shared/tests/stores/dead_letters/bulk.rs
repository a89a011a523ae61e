//! Many letters at once, by a filter.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use chrono::TimeDelta;
use postrider_queue::{Enqueued, JobId, Lane, NewJob, QueueError, ScopeKey, Tenant};
use postrider_shared::{
    database::AllTenants,
    dead_letters::{DeadLetterFilter, DeadLetterState, Edit, Redriven, Redriver, STEP},
    outbox::Enqueue,
};

use super::{letter, many};
use crate::{
    outbox::Tray,
    scene::{Scene, on_both},
};

on_both!(
    many_letters_are_redriven_once_whatever_crashes,
    many_letters_are_discarded_and_those_refused_say_why,
    many_letters_wait_for_the_sweep_if_the_queue_is_away,
    what_the_queue_has_no_room_for_is_dead_again_and_comes_next,
    chunks_that_overlap_lose_and_repeat_nothing,
    one_malformed_letter_is_refused_and_stops_nobody,
    payloads_are_patched_each_for_itself,
    each_part_of_a_filter_narrows_what_is_settled,
);

async fn many_letters_are_redriven_once_whatever_crashes(scene: Scene) {
    let tray = Tray { lose_answers: Mutex::new(1), ..Tray::default() };
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    many(&scene, 25, "no answer after").await;
    many(&scene, 4, "no such street:").await;
    let groups = scene.stores.dead_letters.groups(scene.tenant, &DeadLetterFilter::default(), 1).await.unwrap();
    let filter = DeadLetterFilter { group: Some(groups[0].error_group.clone()), ..DeadLetterFilter::default() };
    let edited = br#"{"times":0}"#;
    let step =
        async |after| redriver.redrive_many(scene.tenant, &filter, &Edit::Replaced(edited.to_vec()), after, 10).await;
    // The process ends after the enqueue of the first ten: they stay in between until the sweep finds them.
    assert!(step(None).await.is_err());
    let second = step(None).await.unwrap();
    assert_eq!((second.settled, second.refused), (10, 0));
    let third = step(second.next).await.unwrap();
    assert_eq!((third.settled, third.next), (5, None));
    scene.clock.advance(Duration::from_mins(1));
    assert_eq!(redriver.sweep(scene.now(), &mut None, 100).await.unwrap(), 10);
    assert_eq!(step(None).await.unwrap().settled, 0, "nothing is left of the group");

    let taken = tray.taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 25);
    assert!(taken.iter().all(|job| job.payload == edited && job.links.redriven_from.is_some()));
    let redriven = DeadLetterFilter { state: Some(DeadLetterState::Redriven), ..filter.clone() };
    let page = scene.stores.dead_letters.list(scene.tenant, &redriven, None, 100).await.unwrap();
    assert_eq!(page.items.len(), 25);
    for letter in page.items {
        let successor = letter.successor().unwrap();
        assert!(taken.iter().any(|job| job.id == successor), "{letter:?}");
        let again = redriver.redrive(scene.tenant, letter.id, None).await.unwrap();
        assert!(matches!(again, Redriven::Enqueued { job, .. } if Some(job) == successor));
    }
}

async fn many_letters_are_discarded_and_those_refused_say_why(scene: Scene) {
    let holder = JobId::derived(2, &["holder"]);
    let tray = Tray { holder: Mutex::new(Some(holder)), ..Tray::default() };
    let letters = &scene.stores.dead_letters;
    let redriver = Redriver::new(letters.clone(), &tray);
    many(&scene, 6, "no answer after").await;
    let all = DeadLetterFilter::default();
    let step = redriver.redrive_many(scene.tenant, &all, &Edit::AsItDied, None, 100).await.unwrap();
    assert_eq!((step.settled, step.refused), (0, 6));
    let page = letters.list(scene.tenant, &all, None, 10).await.unwrap();
    assert!(page.items.iter().all(|letter| letter.state == DeadLetterState::Dead));
    assert!(page.items.iter().all(|letter| letter.note.as_ref().unwrap().contains(&holder.to_string())));

    assert_eq!(letters.discard_many(scene.stranger, &all, None, 100).await.unwrap().settled, 0);
    let first = letters.discard_many(scene.tenant, &all, None, 4).await.unwrap();
    assert_eq!(first.settled, 4);
    let second = letters.discard_many(scene.tenant, &all, first.next, 4).await.unwrap();
    assert_eq!((second.settled, second.next), (2, None));
    let discarded = DeadLetterFilter { state: Some(DeadLetterState::Discarded), ..all };
    assert_eq!(letters.list(scene.tenant, &discarded, None, 10).await.unwrap().items.len(), 6);
}

/// A queue that takes nothing: it has no room, or the process ended after the letters were taken.
pub enum Away {
    Full,
    Gone,
}

#[async_trait]
impl Enqueue for Away {
    async fn enqueue_many(&self, _: Vec<NewJob>) -> Result<Vec<Enqueued>, QueueError> {
        Err(match self {
            Self::Full => QueueError::Full,
            Self::Gone => QueueError::Closed,
        })
    }

    async fn enqueue_each(&self, jobs: Vec<NewJob>) -> Result<Vec<Result<Enqueued, QueueError>>, QueueError> {
        Ok(futures::future::join_all(jobs.iter().map(async |_| Err(self.enqueue_many(Vec::new()).await.unwrap_err())))
            .await)
    }

    async fn has(&self, _: JobId) -> Result<bool, QueueError> {
        Ok(false)
    }

    fn derived_job_id(&self, _: &Tenant, parts: &[&str]) -> JobId {
        JobId::derived(2, parts)
    }
}

async fn many_letters_wait_for_the_sweep_if_the_queue_is_away(scene: Scene) {
    let letters = &scene.stores.dead_letters;
    many(&scene, 5, "no answer after").await;
    let all = DeadLetterFilter::default();
    let edited = br#"{"times":0}"#;
    let away = Redriver::new(letters.clone(), Away::Gone)
        .redrive_many(scene.tenant, &all, &Edit::Replaced(edited.to_vec()), None, 100)
        .await;
    assert!(away.is_err());
    let redriving = DeadLetterFilter { state: Some(DeadLetterState::Redriving), ..all.clone() };
    let page = letters.list(scene.tenant, &redriving, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 5);
    // They have an owner, so nobody else gets them.
    assert_eq!(letters.discard_many(scene.tenant, &all, None, 100).await.unwrap().settled, 0);
    assert!(letters.discard(scene.tenant, page.items[0].id).await.is_err());

    let tray = Tray::default();
    let redriver = Redriver::new(letters.clone(), &tray);
    assert_eq!(redriver.sweep(scene.now(), &mut None, 100).await.unwrap(), 0, "they may be under way");
    scene.clock.advance(Duration::from_mins(1));
    assert_eq!(redriver.sweep(scene.now(), &mut None, 100).await.unwrap(), 5);
    assert_eq!(redriver.sweep(scene.now(), &mut None, 100).await.unwrap(), 0);
    let taken = tray.taken.lock().unwrap();
    assert_eq!(taken.len(), 5);
    assert!(taken.iter().all(|job| job.payload == edited));
}

async fn what_the_queue_has_no_room_for_is_dead_again_and_comes_next(scene: Scene) {
    const LETTERS: u64 = 4_100;
    let letters = &scene.stores.dead_letters;
    many(&scene, LETTERS, "no answer after").await;
    let all = DeadLetterFilter::default();
    let tray = Tray { room: Mutex::new(Some(2_003)), ..Tray::default() };
    let redriver = Redriver::new(letters.clone(), &tray);
    let step = async |after| redriver.redrive_many(scene.tenant, &all, &Edit::AsItDied, after, STEP).await.unwrap();
    let first = step(None).await;
    assert_eq!((first.settled, first.refused), (2_003, 0), "all that fits, though it does not all fit");
    assert!(first.no_room && first.next.is_some());
    let dead = DeadLetterFilter { state: Some(DeadLetterState::Dead), ..all.clone() };
    let redriving = DeadLetterFilter { state: Some(DeadLetterState::Redriving), ..all.clone() };
    assert_eq!(letters.count(scene.tenant, &dead, first.next).await.unwrap(), LETTERS - 2_003);
    assert!(letters.list(scene.tenant, &redriving, None, 10).await.unwrap().items.is_empty());
    let page = letters.list(scene.tenant, &dead, None, 10).await.unwrap();
    assert_eq!(page.items[0].note.as_deref(), Some("the queue had no room for its job"));

    let again = step(first.next).await;
    assert_eq!((again.settled, again.next, again.no_room), (0, first.next, true));
    *tray.room.lock().unwrap() = None;
    let last = step(again.next).await;
    assert_eq!((last.settled, last.refused, last.next, last.no_room), (LETTERS - 2_003, 0, None, false));
    assert_eq!(tray.taken.lock().unwrap().len() as u64, LETTERS);
    // Nothing is left to the sweep.
    scene.clock.advance(Duration::from_mins(1));
    assert_eq!(redriver.sweep(scene.now(), &mut None, LETTERS).await.unwrap(), 0);
}

async fn chunks_that_overlap_lose_and_repeat_nothing(scene: Scene) {
    const LETTERS: u64 = 4_100;
    let tray = Tray { lose_answers: Mutex::new(1), ..Tray::default() };
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    many(&scene, LETTERS, "no answer after").await;
    let all = DeadLetterFilter::default();
    // While the first chunk's answer is lost, the second has been taken.
    assert!(redriver.redrive_many(scene.tenant, &all, &Edit::AsItDied, None, STEP).await.is_err());
    let step = redriver.redrive_many(scene.tenant, &all, &Edit::AsItDied, None, STEP).await.unwrap();
    scene.clock.advance(Duration::from_mins(1));
    let swept = redriver.sweep(scene.now(), &mut None, LETTERS).await.unwrap() as u64;
    assert_eq!((step.settled + swept, step.refused, step.next), (LETTERS, 0, None));
    assert!(step.settled < LETTERS && swept < LETTERS);
    let groups = scene.stores.dead_letters.groups(scene.tenant, &all, 10).await.unwrap();
    let redriven = DeadLetterFilter { state: Some(DeadLetterState::Redriven), ..all };
    assert_eq!(scene.stores.dead_letters.groups(scene.tenant, &redriven, 10).await.unwrap(), groups);
    assert_eq!(tray.taken.lock().unwrap().len() as u64, LETTERS);
}

async fn one_malformed_letter_is_refused_and_stops_nobody(scene: Scene) {
    let tray = Tray::default();
    let letters = &scene.stores.dead_letters;
    let redriver = Redriver::new(letters.clone(), &tray);
    many(&scene, 5, "no answer after").await;
    let mut malformed = letter(&scene, 9);
    let scope = ScopeKey::parse("s").unwrap();
    malformed.record.lane = Lane { scopes: vec![scope; Lane::MAX_SCOPES + 1], ..Lane::default() };
    letters.archive(AllTenants, &[malformed]).await.unwrap();
    let all = DeadLetterFilter::default();
    let step = redriver.redrive_many(scene.tenant, &all, &Edit::AsItDied, None, 100).await.unwrap();
    assert_eq!((step.settled, step.refused), (5, 1));
    let dead = DeadLetterFilter { state: Some(DeadLetterState::Dead), ..all };
    let page = letters.list(scene.tenant, &dead, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert!(page.items[0].note.as_ref().unwrap().contains("too many scopes"), "{:?}", page.items[0].note);
}

async fn payloads_are_patched_each_for_itself(scene: Scene) {
    let tray = Tray::default();
    let letters = &scene.stores.dead_letters;
    let redriver = Redriver::new(letters.clone(), &tray);
    let payloads = [
        ("diagnostic.sleep", r#"{"ms":600001}"#),
        ("diagnostic.sleep", "no JSON"),
        ("diagnostic.echo", r#"{"data":1}"#),
        ("unheard_of", r#"{"ms":2,"kept":[1]}"#),
    ];
    for (number, (kind, payload)) in (0..).zip(payloads) {
        let mut letter = letter(&scene, number);
        letter.record.kind = kind.parse().unwrap();
        letter.record.payload = payload.as_bytes().to_vec();
        letters.archive(AllTenants, &[letter]).await.unwrap();
    }
    let all = DeadLetterFilter::default();
    assert_eq!(letters.count(scene.tenant, &all, None).await.unwrap(), 4);
    let patch = Edit::Patched(serde_json::json!({ "ms": 5 }));
    let step = redriver.redrive_many(scene.tenant, &all, &patch, None, 100).await.unwrap();
    assert_eq!((step.settled, step.refused, step.next), (2, 2, None));
    let mut driven: Vec<String> =
        tray.taken.lock().unwrap().iter().map(|job| String::from_utf8(job.payload.clone()).unwrap()).collect();
    driven.sort();
    assert_eq!(driven, [r#"{"kept":[1],"ms":5}"#, r#"{"ms":5}"#]);
    let dead = DeadLetterFilter { state: Some(DeadLetterState::Dead), ..all.clone() };
    let page = letters.list(scene.tenant, &dead, None, 10).await.unwrap();
    let notes: Vec<&str> = page.items.iter().filter_map(|letter| letter.note.as_deref()).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes.iter().any(|note| note.contains("no JSON")) && notes.iter().any(|note| note.contains("`ms`")),
        "{notes:?}"
    );
    assert_eq!(letters.count(scene.tenant, &all, None).await.unwrap(), 2);
}

async fn each_part_of_a_filter_narrows_what_is_settled(scene: Scene) {
    let letters = &scene.stores.dead_letters;
    let start = scene.now();
    // Four that died a second apart; one each of another kind, queue and tenant.
    many(&scene, 4, "no answer after").await;
    for (number, change) in (10..).zip(["kind", "queue", "tenant"]) {
        let mut odd = letter(&scene, number);
        odd.died_at = start + TimeDelta::seconds(20);
        match change {
            "kind" => odd.record.kind = "diagnostic.echo".parse().unwrap(),
            "queue" => odd.record.queue = "drills".parse().unwrap(),
            _ => odd.record.tenant = scene.stranger.into(),
        }
        letters.archive(AllTenants, &[odd]).await.unwrap();
    }
    let none = DeadLetterFilter::default();
    let groups = letters.groups(scene.tenant, &none, 10).await.unwrap();
    let largest = groups[0].error_group.clone();
    let at = |seconds| Some(start + TimeDelta::seconds(seconds));
    let narrowed = [
        (none.clone(), 6),
        (DeadLetterFilter { kind: Some("diagnostic.echo".to_owned()), ..none.clone() }, 1),
        (DeadLetterFilter { queue: Some("drills".to_owned()), ..none.clone() }, 1),
        (DeadLetterFilter { group: Some(largest), ..none.clone() }, 4),
        (DeadLetterFilter { died_after: at(2), ..none.clone() }, 4),
        (DeadLetterFilter { died_before: at(2), ..none.clone() }, 2),
        (DeadLetterFilter { died_after: at(1), died_before: at(3), ..none.clone() }, 2),
        // Only what is dead is settled.
        (DeadLetterFilter { state: Some(DeadLetterState::Discarded), ..none.clone() }, 6),
    ];
    for (filter, many) in &narrowed {
        assert_eq!(letters.count(scene.tenant, filter, None).await.unwrap(), *many, "{filter:?}");
    }
    let middle = &narrowed[6].0;
    assert_eq!(letters.discard_many(scene.tenant, middle, None, 100).await.unwrap().settled, 2);
    let tray = Tray::default();
    let redriver = Redriver::new(letters.clone(), &tray);
    let step = redriver.redrive_many(scene.tenant, &narrowed[2].0, &Edit::AsItDied, None, 100).await.unwrap();
    assert_eq!((step.settled, tray.taken.lock().unwrap()[0].queue.as_str()), (1, "drills"));
    assert_eq!(letters.count(scene.tenant, &none, None).await.unwrap(), 3);
    assert_eq!(letters.count(scene.stranger, &none, None).await.unwrap(), 1);
}
