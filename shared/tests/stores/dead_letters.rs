use std::{sync::Mutex, time::Duration};

use postrider_queue::{
    BatchId, Job, JobId, JobKind, JobRecord, JobState, Lane, LaneName, Links, NewJob, Priority, RecipientKey, ScopeKey,
    UniqueFor, UniqueKey,
};
use postrider_shared::{
    database::{AllTenants, StoreError},
    dead_letters::{BegunRedrive, DeadLetter, DeadLetterFilter, DeadLetterState, Edit, Redriven, Redriver},
    jobs::diagnostic::DiagnosticFail,
};
use sea_orm::{ConnectionTrait, Statement};

use crate::{
    outbox::Tray,
    scene::{Scene, on_both},
};

mod bulk;
mod messages;

on_both!(
    a_letter_is_archived_once,
    archives_of_one_letter_at_a_time_are_one,
    a_letter_is_redriven_once_whatever_crashes,
    letters_of_one_error_are_a_group,
    letters_of_all_states_are_listed_in_pages,
    what_is_pruned_leaves_no_history,
    a_redriven_job_has_what_the_dead_one_had,
    a_taken_unique_key_leaves_the_letter_dead,
    what_is_discarded_is_not_redriven,
    a_letter_that_the_queue_has_no_room_for_is_dead_at_once,
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
        reserved_at: None,
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

async fn archives_of_one_letter_at_a_time_are_one(scene: Scene) {
    let letters = &scene.stores.dead_letters;
    for round in 0..40 {
        let order = [0, 1, 2, 3].map(|n| letter(&scene, 4 * round + n));
        let mut reversed = order.clone();
        reversed.reverse();
        let archives = (0..8).map(|n| letters.archive(AllTenants, if n % 2 == 0 { &order } else { &reversed }));
        let archived = futures::future::join_all(archives).await;
        assert!(archived.iter().all(Result::is_ok), "{archived:?}");
    }
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
    assert_eq!(redriver.sweep(scene.now(), &mut None, 10).await.unwrap(), 1);
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

async fn a_letter_that_the_queue_has_no_room_for_is_dead_at_once(scene: Scene) {
    let letters = &scene.stores.dead_letters;
    let letter = archived(&scene).await;
    let edited = br#"{"times":0}"#.to_vec();
    let full = Redriver::new(letters.clone(), bulk::Away::Full);
    for _ in 0..2 {
        assert!(full.redrive(scene.tenant, letter.id, Some(edited.clone())).await.unwrap_err().is_transient());
        let now = letters.get(scene.tenant, letter.id).await.unwrap();
        assert_eq!((now.state, now.redrive_payload), (DeadLetterState::Dead, None));
        assert_eq!(now.note.as_deref(), Some("the queue had no room for its job"));
    }

    // A redrive that is under way may have brought the job there: it keeps the letter.
    assert!(matches!(letters.begin_redrive(scene.tenant, letter.id, None).await.unwrap(), BegunRedrive::Begun(_)));
    assert!(full.redrive(scene.tenant, letter.id, None).await.is_err());
    assert_eq!(letters.get(scene.tenant, letter.id).await.unwrap().state, DeadLetterState::Redriving);

    // Whoever brought it there has the last word, also if another was refused meanwhile.
    letters.redrive_refused(scene.tenant, letter.id, "another call met a full queue").await.unwrap();
    let job = letter.redrive_job().unwrap().id.unwrap();
    let redriven = letters.redriven(scene.tenant, letter.id, job).await.unwrap();
    assert_eq!((redriven.state, redriven.successor().unwrap()), (DeadLetterState::Redriven, Some(job)));
    // And nothing moves what is settled.
    letters.redrive_refused(scene.tenant, letter.id, "too late").await.unwrap();
    assert_eq!(letters.get(scene.tenant, letter.id).await.unwrap().state, DeadLetterState::Redriven);
}

/// Letters whose errors differ in numbers only, a second apart.
pub async fn many(scene: &Scene, letters: u64, error: &str) {
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

/// All that a job can have beyond a payload, on a job that died.
fn adorned(scene: &Scene) -> postrider_queue::DeadLetter {
    let other = |name: &str| JobId::derived(2, &[name]);
    let batch = |name: &str| other(name).to_string().replace("job_", "batch_").parse::<BatchId>().ok();
    let mut letter = letter(scene, 1);
    let record = &mut letter.record;
    record.priority = Priority::High;
    record.recipient = Some(RecipientKey::of("anna@example.com").unwrap());
    record.unique_key = Some(UniqueKey::from("anna"));
    record.unique_for = UniqueFor::Replace;
    record.max_attempts = 7;
    record.payload = b"{\"times\":1}".to_vec();
    let scopes = vec![ScopeKey::parse("mailbox").unwrap()];
    record.lane = Lane::with_scopes(LaneName::parse("campaign").unwrap(), scopes);
    record.links = Links {
        batch: batch("batch"),
        parent: Some(other("parent")),
        redriven_from: Some(other("an earlier death")),
        completes: batch("completed"),
    };
    letter
}

async fn a_redriven_job_has_what_the_dead_one_had(scene: Scene) {
    let tray = Tray::default();
    let letters = &scene.stores.dead_letters;
    let redriver = Redriver::new(letters.clone(), &tray);
    let old = adorned(&scene).record;
    letters.archive(AllTenants, &[adorned(&scene)]).await.unwrap();
    let row = letters.list(scene.tenant, &DeadLetterFilter::default(), None, 10).await.unwrap().items.remove(0);
    let alone = row.redrive_job().unwrap();
    let step =
        redriver.redrive_many(scene.tenant, &DeadLetterFilter::default(), &Edit::AsItDied, None, 10).await.unwrap();
    assert_eq!((step.settled, step.next), (1, None));

    let job = tray.taken.lock().unwrap().remove(0);
    assert_eq!(job, alone, "redriven singly it is the same job");
    // Names every field, so that whoever adds one decides here.
    let NewJob {
        tenant,
        id,
        kind,
        queue,
        lane,
        priority,
        payload,
        run_at,
        max_attempts,
        keep,
        unique_key,
        unique_for,
        idempotency_key,
        links,
        recipient,
    } = job;
    assert_eq!((tenant, kind, queue, lane), (old.tenant, old.kind, old.queue, old.lane));
    assert_eq!((priority, recipient, max_attempts), (Priority::High, old.recipient, 7));
    assert_eq!((payload, unique_key), (old.payload, old.unique_key));
    assert_eq!(id.unwrap().shard(), 2);
    assert_eq!(keep, DiagnosticFail::KEEP);
    // It never takes the place of a newer job that waits, and its batch has counted the death.
    assert_eq!(unique_for, UniqueFor::Waiting);
    assert_eq!(links, Links { batch: None, redriven_from: Some(old.id), ..old.links });
    assert_eq!((run_at, idempotency_key), (None, None));
}

async fn letters_of_all_states_are_listed_in_pages(scene: Scene) {
    let tray = Tray::default();
    let letters = &scene.stores.dead_letters;
    many(&scene, 7, "no answer after").await;
    let all = DeadLetterFilter::default();
    Redriver::new(letters.clone(), &tray).redrive_many(scene.tenant, &all, &Edit::AsItDied, None, 2).await.unwrap();
    letters.discard_many(scene.tenant, &all, None, 2).await.unwrap();
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = letters.list(scene.tenant, &all, cursor, 3).await.unwrap();
        assert!(page.items.len() <= 3);
        assert!(page.items.iter().all(|letter| letter.history.contains("\"duration_ms\":7")), "{page:?}");
        found.extend(page.items.into_iter().map(|letter| (letter.died_at, letter.state)));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(found.is_sorted_by(|newer, older| newer.0 > older.0), "{found:?}");
    let states: Vec<_> = found.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states[..3], [DeadLetterState::Dead; 3]);
    assert_eq!(states[3..5], [DeadLetterState::Discarded; 2]);
    assert_eq!(states[5..], [DeadLetterState::Redriven; 2]);
}

async fn what_is_pruned_leaves_no_history(scene: Scene) {
    let letters = &scene.stores.dead_letters;
    many(&scene, 3, "no answer after").await;
    letters.discard_many(scene.tenant, &DeadLetterFilter::default(), None, 2).await.unwrap();
    scene.clock.advance(Duration::from_mins(1));
    assert_eq!(letters.prune(AllTenants, scene.now(), 10).await.unwrap(), 2);
    let count = Statement::from_string(
        scene.database.reader().get_database_backend(),
        "SELECT COUNT(*) AS many FROM dead_letter_histories",
    );
    let row = scene.database.reader().query_one_raw(count).await.unwrap().unwrap();
    assert_eq!(row.try_get::<i64>("", "many").unwrap(), 1);
}
