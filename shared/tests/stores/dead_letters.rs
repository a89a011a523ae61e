use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use postrider_queue::{
    BatchId, Enqueued, Job, JobId, JobKind, JobRecord, JobState, Lane, LaneName, Links, NewJob, Priority, QueueError,
    RecipientKey, ScopeKey, Tenant, UniqueFor, UniqueKey,
};
use postrider_shared::{
    database::{AllTenants, StoreError},
    dead_letters::{BegunRedrive, DeadLetter, DeadLetterFilter, DeadLetterState, Redriven, Redriver, STEP},
    jobs::diagnostic::DiagnosticFail,
    outbox::Enqueue,
};
use sea_orm::{ConnectionTrait, Statement};

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
    many_letters_wait_for_the_sweep_if_the_queue_is_away,
    chunks_that_overlap_lose_and_repeat_nothing,
    letters_of_all_states_are_listed_in_pages,
    what_is_pruned_leaves_no_history,
    a_redriven_job_has_what_the_dead_one_had,
    one_malformed_letter_is_refused_and_stops_nobody,
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
    let step = redriver.redrive_many(scene.tenant, &DeadLetterFilter::default(), None, None, 10).await.unwrap();
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
    let step = redriver.redrive_many(scene.tenant, &all, None, None, 100).await.unwrap();
    assert_eq!((step.settled, step.refused), (5, 1));
    let dead = DeadLetterFilter { state: Some(DeadLetterState::Dead), ..all };
    let page = letters.list(scene.tenant, &dead, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert!(page.items[0].note.as_ref().unwrap().contains("too many scopes"), "{:?}", page.items[0].note);
}

/// A queue that takes nothing: as if the process had ended after the letters were taken.
struct Away;

#[async_trait]
impl Enqueue for Away {
    async fn enqueue_many(&self, _: Vec<NewJob>) -> Result<Vec<Enqueued>, QueueError> {
        Err(QueueError::Full)
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
    let away = Redriver::new(letters.clone(), Away).redrive_many(scene.tenant, &all, Some(edited), None, 100).await;
    assert!(away.unwrap_err().is_transient());
    let redriving = DeadLetterFilter { state: Some(DeadLetterState::Redriving), ..all.clone() };
    let page = letters.list(scene.tenant, &redriving, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 5);
    // They have an owner, so nobody else gets them.
    assert_eq!(letters.discard_many(scene.tenant, &all, None, 100).await.unwrap().settled, 0);
    assert!(letters.discard(scene.tenant, page.items[0].id).await.is_err());

    let tray = Tray::default();
    let redriver = Redriver::new(letters.clone(), &tray);
    assert_eq!(redriver.sweep(scene.now(), 100).await.unwrap(), 0, "they may be under way");
    scene.clock.advance(Duration::from_mins(1));
    assert_eq!(redriver.sweep(scene.now(), 100).await.unwrap(), 5);
    assert_eq!(redriver.sweep(scene.now(), 100).await.unwrap(), 0);
    let taken = tray.taken.lock().unwrap();
    assert_eq!(taken.len(), 5);
    assert!(taken.iter().all(|job| job.payload == edited));
}

async fn chunks_that_overlap_lose_and_repeat_nothing(scene: Scene) {
    const LETTERS: u64 = 4_100;
    let tray = Tray { lose_answers: Mutex::new(1), ..Tray::default() };
    let redriver = Redriver::new(scene.stores.dead_letters.clone(), &tray);
    many(&scene, LETTERS, "no answer after").await;
    let all = DeadLetterFilter::default();
    // While the first chunk's answer is lost, the second has been taken.
    assert!(redriver.redrive_many(scene.tenant, &all, None, None, STEP).await.unwrap_err().is_transient());
    let step = redriver.redrive_many(scene.tenant, &all, None, None, STEP).await.unwrap();
    scene.clock.advance(Duration::from_mins(1));
    let swept = redriver.sweep(scene.now(), LETTERS).await.unwrap() as u64;
    assert_eq!((step.settled + swept, step.refused, step.next), (LETTERS, 0, None));
    assert!(step.settled < LETTERS && swept < LETTERS);
    let groups = scene.stores.dead_letters.groups(scene.tenant, &all, 10).await.unwrap();
    let redriven = DeadLetterFilter { state: Some(DeadLetterState::Redriven), ..all };
    assert_eq!(scene.stores.dead_letters.groups(scene.tenant, &redriven, 10).await.unwrap(), groups);
    assert_eq!(tray.taken.lock().unwrap().len() as u64, LETTERS);
}

async fn letters_of_all_states_are_listed_in_pages(scene: Scene) {
    let tray = Tray::default();
    let letters = &scene.stores.dead_letters;
    many(&scene, 7, "no answer after").await;
    let all = DeadLetterFilter::default();
    Redriver::new(letters.clone(), &tray).redrive_many(scene.tenant, &all, None, None, 2).await.unwrap();
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
