use std::{sync::Mutex, time::Duration};

use postrider_queue::{JobId, JobKind, JobRecord, JobState, Lane, NewJob};
use postrider_shared::{
    database::{AllTenants, StoreError},
    dead_letters::{BegunRedrive, DeadLetter, DeadLetterFilter, DeadLetterState, Redriven, Redriver},
    jobs::diagnostic::DiagnosticFail,
};

use crate::{
    outbox::Tray,
    scene::{Scene, on_both},
};

on_both!(
    a_letter_is_archived_once,
    a_letter_is_redriven_once_whatever_crashes,
    letters_of_one_error_are_a_group,
    many_letters_are_redriven_once_whatever_crashes,
    many_letters_are_discarded_and_those_refused_say_why,
    a_taken_unique_key_leaves_the_letter_dead,
    what_is_discarded_is_not_redriven,
);

fn letter(scene: &Scene, death_number: u64) -> postrider_queue::DeadLetter {
    let fail = DiagnosticFail { times: 9, error: "no\0".to_owned(), permanent: false, lane: None };
    let job = NewJob::of(scene.tenant.into(), &fail).unwrap();
    let record = JobRecord {
        id: JobId::derived(2, &["job"]),
        tenant: job.tenant,
        kind: job.kind,
        queue: job.queue,
        lane: Lane::default(),
        priority: postrider_queue::Priority::Normal,
        state: JobState::Dead,
        attempt: 10,
        max_attempts: 10,
        snoozes: 0,
        epoch: 10,
        crashes: 0,
        cancel_requested: false,
        payload: b"\xff not even text".to_vec(),
        output: None,
        progress: None,
        error: None,
        enqueued_at: scene.now(),
        run_at: scene.now(),
        started_at: None,
        finished_at: None,
        unique_key: None,
        unique_for: postrider_queue::UniqueFor::default(),
        links: postrider_queue::Links::default(),
        recipient: None,
        history: Vec::new(),
        log_lines: 0,
    };
    postrider_queue::DeadLetter {
        record,
        death_number,
        error: "it broke\0".to_owned(),
        attempts: 10,
        died_at: scene.now(),
    }
}

async fn archived(scene: &Scene) -> DeadLetter {
    scene.stores.dead_letters.archive(AllTenants, &[letter(scene, 1)]).await.unwrap();
    let page = scene.stores.dead_letters.list(scene.tenant, &DeadLetterFilter::default(), None, 10).await.unwrap();
    page.items.into_iter().next().unwrap()
}

async fn a_letter_is_archived_once(scene: Scene) {
    let letters = &scene.stores.dead_letters;
    let both = [letter(&scene, 1), letter(&scene, 2)];
    let job = both[0].record.id;
    for _ in 0..2 {
        assert_eq!(letters.archive(AllTenants, &both).await.unwrap(), [(job, 1), (job, 2)]);
    }
    let mut odd = letter(&scene, 3);
    odd.record.tenant = postrider_queue::Tenant::parse("no-uuid").unwrap();
    letters.archive(AllTenants, &[odd]).await.unwrap();

    let filter = DeadLetterFilter { kind: Some("diagnostic.fail".to_owned()), ..DeadLetterFilter::default() };
    let page = letters.list(scene.tenant, &filter, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 2);
    assert_eq!(
        (page.items[0].error.as_str(), page.items[0].payload.as_slice()),
        ("it broke", b"\xff not even text".as_slice())
    );
    let other = DeadLetterFilter { queue: Some("email".to_owned()), ..DeadLetterFilter::default() };
    assert!(letters.list(scene.tenant, &other, None, 10).await.unwrap().items.is_empty());
    assert!(letters.list(scene.stranger, &filter, None, 10).await.unwrap().items.is_empty());
    assert!(letters.get(scene.stranger, page.items[0].id).await.is_err());
}

async fn a_letter_is_redriven_once_whatever_crashes(scene: Scene) {
    let tray = Tray { lose_answers: Mutex::new(1), ..Tray::default() };
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    let letter = archived(&scene).await;
    let edited = br#"{"times":0}"#.to_vec();
    // The answer is lost: the row stays in between, until a sweep finds it.
    assert!(redriver.redrive(scene.tenant, letter.id, Some(edited.clone())).await.unwrap_err().is_transient());
    assert!(matches!(
        scene.stores.dead_letters.begin_redrive(scene.tenant, letter.id, None).await.unwrap(),
        BegunRedrive::Underway(_)
    ));
    scene.clock.advance(Duration::from_mins(1));
    assert_eq!(redriver.sweep(scene.now(), 10).await.unwrap(), 1);
    // Meanwhile people press the button again.
    let again = futures::future::join_all((0..6).map(|_| redriver.redrive(scene.tenant, letter.id, None))).await;
    let expected = letter.redrive_job().unwrap().id.unwrap();
    for redriven in again {
        assert!(matches!(redriven.unwrap(), Redriven::Enqueued { job, .. } if job == expected));
    }
    let taken = tray.taken.lock().unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!((&taken[0].payload, &taken[0].kind), (&edited, &JobKind::new("diagnostic.fail")));
    assert_eq!(taken[0].id.unwrap().shard(), 2);
}

async fn a_taken_unique_key_leaves_the_letter_dead(scene: Scene) {
    let holder = JobId::derived(2, &["holder"]);
    let tray = Tray { holder: Mutex::new(Some(holder)), ..Tray::default() };
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    let letter = archived(&scene).await;
    let redriven = redriver.redrive(scene.tenant, letter.id, None).await.unwrap();
    let Redriven::UniqueTaken { holder: found, letter } = redriven else { panic!("{redriven:?}") };
    assert_eq!((found, letter.state), (holder, DeadLetterState::Dead));
    assert!(letter.note.unwrap().contains(&holder.to_string()));
    *tray.holder.lock().unwrap() = None;
    assert!(matches!(redriver.redrive(scene.tenant, letter.id, None).await.unwrap(), Redriven::Enqueued { .. }));
}

async fn what_is_discarded_is_not_redriven(scene: Scene) {
    let tray = Tray::default();
    let letters = &scene.stores.dead_letters;
    let redriver = Redriver::new(letters.clone(), &tray);
    let letter = archived(&scene).await;
    assert!(letters.discard(scene.stranger, letter.id).await.is_err());
    letters.discard(scene.tenant, letter.id).await.unwrap();
    letters.discard(scene.tenant, letter.id).await.unwrap();
    let redriven = redriver.redrive(scene.tenant, letter.id, None).await.unwrap();
    assert!(matches!(redriven, Redriven::Discarded(_)));
    assert!(tray.taken.lock().unwrap().is_empty());
    scene.clock.advance(Duration::from_mins(1));
    assert_eq!(letters.prune(AllTenants, scene.now(), 10).await.unwrap(), 1);

    let letter = archived(&scene).await;
    redriver.redrive(scene.tenant, letter.id, None).await.unwrap();
    let error = letters.discard(scene.tenant, letter.id).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
}

/// Letters whose errors differ in numbers only, a second apart.
async fn many(scene: &Scene, letters: u64, error: &str) {
    let letters: Vec<_> = (0..letters)
        .map(|n| {
            let mut letter = letter(scene, n + 1);
            letter.record.id = JobId::derived(2, &[error, &n.to_string()]);
            letter.error = format!("{error} {n}");
            letter.died_at = scene.now() + chrono::TimeDelta::seconds(n.cast_signed());
            letter.record.history = vec![postrider_queue::Attempt {
                started_at: scene.now(),
                duration: Duration::from_millis(7),
                error: letter.error.clone(),
            }];
            letter
        })
        .collect();
    scene.stores.dead_letters.archive(AllTenants, &letters).await.unwrap();
}

async fn letters_of_one_error_are_a_group(scene: Scene) {
    let letters = &scene.stores.dead_letters;
    many(&scene, 3, "no answer after").await;
    many(&scene, 2, "no such street:").await;
    let groups = letters.groups(scene.tenant, &DeadLetterFilter::default(), 10).await.unwrap();
    let found: Vec<_> = groups.iter().map(|group| (group.letters, group.error.as_str())).collect();
    assert_eq!(found, [(3, "no answer after 0"), (2, "no such street: 0")]);
    assert_eq!(groups[0].last_died_at - groups[0].first_died_at, chrono::TimeDelta::seconds(2));
    let of_group = DeadLetterFilter { group: Some(groups[1].error_group.clone()), ..DeadLetterFilter::default() };
    let page = letters.list(scene.tenant, &of_group, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 2);
    assert!(page.items[0].history.contains("\"duration_ms\":7"), "{}", page.items[0].history);
    let early = DeadLetterFilter { died_before: Some(groups[0].last_died_at), ..DeadLetterFilter::default() };
    assert_eq!(letters.groups(scene.tenant, &early, 10).await.unwrap()[0].letters, 2);
    assert!(letters.groups(scene.stranger, &DeadLetterFilter::default(), 10).await.unwrap().is_empty());
}

async fn many_letters_are_redriven_once_whatever_crashes(scene: Scene) {
    let tray = Tray { lose_answers: Mutex::new(1), ..Tray::default() };
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    many(&scene, 25, "no answer after").await;
    many(&scene, 4, "no such street:").await;
    let groups = scene.stores.dead_letters.groups(scene.tenant, &DeadLetterFilter::default(), 1).await.unwrap();
    let filter = DeadLetterFilter { group: Some(groups[0].error_group.clone()), ..DeadLetterFilter::default() };
    let edited = br#"{"times":0}"#;
    let step = async |after| redriver.redrive_many(scene.tenant, &filter, Some(edited), after, 10).await;
    // The process ends after the enqueue of the first ten: they stay in between until the sweep finds them.
    assert!(step(None).await.unwrap_err().is_transient());
    let second = step(None).await.unwrap();
    assert_eq!((second.settled, second.refused), (10, 0));
    let third = step(second.next).await.unwrap();
    assert_eq!((third.settled, third.next), (5, None));
    scene.clock.advance(Duration::from_mins(1));
    assert_eq!(redriver.sweep(scene.now(), 100).await.unwrap(), 10);
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
    let step = redriver.redrive_many(scene.tenant, &all, None, None, 100).await.unwrap();
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
