//! A tenant that is forgotten leaves nothing, and nobody else notices.

use std::time::Duration;

use postrider_queue::{
    CapSpec, Done, Enqueued, ForgetPlace, IdempotencyKey, JobId, JobState, Lane, LaneName, Links, NewJob, Priority,
    QueueClient, RateLimit, RecipientKey, ScopeKey, ScopeLimits, Stop, UniqueFor,
};
use tokio::sync::watch;

use crate::server::{Server, WORK, config, done, job, tenant, until, until_state, work};

/// Walks once; what was removed, and what runs.
async fn walk(client: &QueueClient, name: &str) -> (u64, u64) {
    let (mut removed, mut running, mut place) = (0, 0, Some(ForgetPlace::default()));
    while let Some(from) = place {
        let step = client.forget_tenant(&tenant(name), &from).await.unwrap();
        removed += step.removed;
        running += step.running;
        place = step.next;
    }
    (removed, running)
}

fn lane(name: &str) -> Lane {
    Lane::named(LaneName::parse(name).unwrap())
}

/// Jobs that wait, in every way there is.
async fn waiting(client: &QueueClient, name: &str) -> Vec<JobId> {
    let scope = ScopeKey::parse("mailbox:a@b").unwrap();
    let limits =
        ScopeLimits { recipient_rate: Some(RateLimit::even(1, Duration::from_hours(1))), ..ScopeLimits::default() };
    client.define_scope(&tenant(name), &scope, &limits).await.unwrap();
    client.pause_scope(&tenant(name), &scope).await.unwrap();
    let limited = Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope]);
    let later = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    let mut jobs: Vec<NewJob> = Priority::ALL.into_iter().map(|priority| job(name).priority(priority)).collect();
    jobs.extend((0..300).map(|_| job(name).lane(lane("many"))));
    jobs.extend((0..3).map(|_| job(name).lane(limited.clone()).recipient(RecipientKey::of("r").unwrap())));
    jobs.push(job(name).run_at(later));
    jobs.push(job(name).unique_key("one"));
    jobs.push(job(name).idempotency_key(IdempotencyKey { key: "key".to_owned(), fingerprint: "same".to_owned() }));
    let enqueued = client.enqueue_many(jobs).await.unwrap();
    enqueued.iter().map(Enqueued::id).collect()
}

#[tokio::test]
async fn a_forgotten_tenant_leaves_nothing_and_others_keep_all() {
    let server = Server::start().await;
    let client = server.client().await;
    let (open, closed) = watch::channel(false);
    let worker = work(&client, config(8), move |claimed| {
        let mut closed = closed.clone();
        async move {
            match claimed.lane.name.as_str() {
                "slow" => drop(closed.wait_for(|open| *open).await),
                "bad" => return Err(Stop::fail("no")),
                _ => {}
            }
            done()
        }
    });
    let (mut gone, mut stays) = (Vec::new(), Vec::new());
    for (name, all) in [("gone", &mut gone), ("stays", &mut stays)] {
        let ended = client.enqueue(job(name)).await.unwrap().id();
        let dead = client.enqueue(job(name).lane(lane("bad"))).await.unwrap().id();
        let running = client.enqueue(job(name).lane(lane("slow"))).await.unwrap().id();
        until_state(&client, ended, JobState::Completed).await;
        until_state(&client, dead, JobState::Dead).await;
        until_state(&client, running, JobState::Running).await;
        client.pause_tenant(&tenant(name)).await.unwrap();
        client.weigh_tenant(&tenant(name), 7).await.unwrap();
        all.extend([ended, dead, running]);
        all.extend(waiting(&client, name).await);
    }

    let (removed, running) = walk(&client, "gone").await;
    assert!(removed >= gone.len() as u64 - 1, "{removed}");
    assert_eq!(running, 1, "it stays until it has ended");
    assert_eq!(client.get(gone[2]).await.unwrap().unwrap().state, JobState::Running);
    open.send(true).unwrap();
    until("nothing is left", || async { (walk(&client, "gone").await == (0, 0)).then_some(()) }).await;

    for id in &gone {
        assert!(client.get(*id).await.unwrap().is_none());
    }
    let mut redis = server.redis().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*gone*").query_async(&mut redis).await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
    for hash in ["unique", "rules", "lane_ids", "parked"] {
        let kind: String = redis::cmd("TYPE").arg(format!("{{pr:0}}:1:{hash}")).query_async(&mut redis).await.unwrap();
        let read = if kind == "zset" { ["ZRANGE", "0", "-1"] } else { ["HKEYS", "", ""] };
        let mut command = redis::cmd(read[0]);
        command.arg(format!("{{pr:0}}:1:{hash}"));
        if kind == "zset" {
            command.arg(read[1]).arg(read[2]);
        }
        let names: Vec<Vec<u8>> = command.query_async(&mut redis).await.unwrap();
        let left = names.iter().filter(|name| String::from_utf8_lossy(name).contains("gone")).count();
        assert_eq!(left, 0, "{hash}");
    }
    let figures = client.queue(&WORK).await.unwrap();
    assert_eq!((figures.available, figures.scheduled, figures.dead), (stays.len() as u64 - 4, 1, 1), "{figures:?}");

    // The others go on, and so does who comes back under the name.
    client.resume_tenant(&tenant("stays")).await.unwrap();
    client.resume_scope(&tenant("stays"), &ScopeKey::parse("mailbox:a@b").unwrap()).await.unwrap();
    client.resume_tenant(&tenant("gone")).await.unwrap();
    let back = client.enqueue(job("gone").unique_key("one")).await.unwrap();
    assert!(matches!(back, Enqueued::Created(_)), "the key is free: {back:?}");
    until_state(&client, back.id(), JobState::Completed).await;
    // All but the scheduled one, and two whose recipient has had its message for this hour.
    let all = stays.len() as u64 - 1 - 1 - 2 + 1;
    until("the others have run", || async { (client.queue(&WORK).await.unwrap().completed == all).then_some(()) })
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_walk_is_taken_in_bounded_steps_among_many_records_of_others() {
    let server = Server::start().await;
    let client = server.client().await;
    client.enqueue_many((0..3_000).map(|_| job("stays")).collect()).await.unwrap();
    client.pause_tenant(&tenant("gone")).await.unwrap();
    client.enqueue_many((0..700).map(|_| job("gone")).collect()).await.unwrap();
    let (mut steps, mut removed, mut place) = (0, 0, Some(ForgetPlace::default()));
    while let Some(from) = place {
        let step = client.forget_tenant(&tenant("gone"), &from).await.unwrap();
        assert!(step.removed <= 256, "{step:?}");
        removed += step.removed;
        steps += 1;
        place = step.next;
    }
    assert!(removed >= 700 && steps > 10, "{removed} in {steps}");
    assert_eq!(client.queue(&WORK).await.unwrap().available, 3_000);
}

/// Everything in Redis that names one of these: `key` or `key: member`.
async fn naming(server: &Server, needles: &[Vec<u8>]) -> Vec<String> {
    let mut redis = server.redis().await;
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap();
    let mut found = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut redis).await.unwrap();
        let read: &[&str] = match kind.as_str() {
            "string" => &["GET"],
            "hash" => &["HGETALL"],
            "set" => &["SMEMBERS"],
            "list" => &["LRANGE", "0", "-1"],
            "zset" => &["ZRANGE", "0", "-1"],
            other => panic!("a {other}"),
        };
        let mut command = redis::cmd(read[0]);
        command.arg(&key).arg(&read[1..]);
        let held: Vec<Vec<u8>> = if kind == "string" {
            vec![command.query_async(&mut redis).await.unwrap()]
        } else {
            command.query_async(&mut redis).await.unwrap()
        };
        for part in std::iter::once(&key).chain(&held) {
            if needles.iter().any(|needle| part.windows(needle.len()).any(|at| at == needle)) {
                found.push(format!("{}: {}", String::from_utf8_lossy(&key), String::from_utf8_lossy(part)));
            }
        }
    }
    found
}

#[tokio::test]
async fn many_lanes_of_a_forgotten_tenant_leave_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    for place in 0..20 {
        client.enqueue(job("gone").lane(lane(&format!("lane-{place}")))).await.unwrap();
    }
    let worker = work(&client, config(1), |_| std::future::pending());
    until("something is given", || async { (client.queue(&WORK).await.unwrap().running == 1).then_some(()) }).await;
    worker.abort().await;
    client.enqueue(job("gone").lane(lane("new"))).await.unwrap();
    let its = [b"gone".to_vec(), b":ahead".to_vec()];
    let first = naming(&server, &its).await;
    assert!(first.iter().any(|named| named.contains(":first:")), "what its new lanes may pay with: {first:#?}");
    assert!(first.iter().any(|named| named.contains(":ahead: tenant:work:gone")), "that they paid: {first:#?}");
    until("nothing is left", || async { (walk(&client, "gone").await == (0, 0)).then_some(()) }).await;
    let left = naming(&server, &its).await;
    assert!(left.is_empty(), "{left:#?}");
}

#[tokio::test]
async fn batches_of_a_forgotten_tenant_go_in_every_state_and_those_of_others_end() {
    let server = Server::start().await;
    let client = server.client().await;
    let (open, closed) = watch::channel(false);
    let worker = work(&client, config(8), move |_| {
        let mut closed = closed.clone();
        async move {
            drop(closed.wait_for(|open| *open).await);
            done()
        }
    });
    let (mut gone, mut stays) = (Vec::new(), Vec::new());
    for (name, all) in [("gone", &mut gone), ("stays", &mut stays)] {
        for (jobs, sealed) in [(1, false), (0, false), (0, true), (1, true)] {
            let batch = client.batch_id(&tenant(name));
            client.open_batch(&tenant(name), batch, Some(job(name).lane(lane("after")))).await.unwrap();
            for _ in 0..jobs {
                let links = Links { batch: Some(batch), ..Links::default() };
                let id = client.enqueue(NewJob { links, ..job(name) }).await.unwrap().id();
                until_state(&client, id, JobState::Running).await;
            }
            if sealed {
                client.seal_batch(&tenant(name), batch).await.unwrap();
            }
            if sealed && jobs == 0 {
                let after = client.batch(batch).await.unwrap().unwrap().completion.unwrap();
                until_state(&client, after, JobState::Running).await;
            }
            all.push(batch);
        }
    }
    client.pause_tenant(&tenant("gone")).await.unwrap();
    assert_eq!(walk(&client, "gone").await.1, 3, "two of batches, and what came after the one that has ended");
    open.send(true).unwrap();
    until("nothing is left", || async { (walk(&client, "gone").await == (0, 0)).then_some(()) }).await;
    client.resume_tenant(&tenant("gone")).await.unwrap();
    let left = naming(&server, &[b"gone".to_vec()]).await;
    assert!(left.is_empty(), "{left:#?}");
    for batch in gone {
        assert!(client.batch(batch).await.unwrap().is_none());
    }
    let last = *stays.last().unwrap();
    until("the other's batch ends", || async { client.batch(last).await.unwrap().unwrap().ended_at.map(drop) }).await;
    for batch in stays {
        assert!(client.batch(batch).await.unwrap().is_some());
    }
    worker.stop().await;
}

/// What a tenant leaves in every corner: limits with people, units and waiters, rules of lanes, keys that outlive their jobs, logs,
/// children.
async fn corners(client: &QueueClient, name: &str) -> Vec<JobId> {
    let of = tenant(name);
    let scope = ScopeKey::parse("mailbox:a@b").unwrap();
    let people = CapSpec::moving(1, Duration::from_hours(24)).of_recipients();
    let limits = ScopeLimits {
        caps: vec![CapSpec::moving(2, Duration::from_hours(24)), people],
        recipient_rate: Some(RateLimit::even(1, Duration::from_hours(1))),
        ..ScopeLimits::default()
    };
    client.define_scope(&of, &scope, &limits).await.unwrap();
    let out = || Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope.clone()]);
    let to = |name: &str| RecipientKey::of(name).unwrap();
    let sent = client.enqueue(job(name).lane(out()).recipient(to("one"))).await.unwrap().id();
    until_state(client, sent, JobState::Completed).await;
    let mut all = vec![sent];
    // One whose recipient had its message for this hour, a newcomer, and one who finds the units used.
    let before = client.queue(&WORK).await.unwrap().stepped_aside;
    for recipient in ["one", "one", "two"] {
        all.push(client.enqueue(job(name).lane(out()).recipient(to(recipient))).await.unwrap().id());
    }
    until("they stepped aside", || async {
        (client.queue(&WORK).await.unwrap().stepped_aside > before + 1).then_some(())
    })
    .await;
    let parent = client.enqueue(job(name).lane(lane("parent"))).await.unwrap().id();
    until_state(client, parent, JobState::Completed).await;
    all.push(parent);
    let held = job(name).unique_key("a day").unique_for(UniqueFor::Period(Duration::from_hours(24)));
    let held = client.enqueue(held).await.unwrap().id();
    until_state(client, held, JobState::Completed).await;
    all.push(held);
    client.pause_lane(&of, &WORK, &lane("paused")).await.unwrap();
    all.push(client.enqueue(job(name).lane(lane("paused"))).await.unwrap().id());
    client.weigh_tenant(&of, 7).await.unwrap();
    client.pause_tenant(&of).await.unwrap();
    let later = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    let soon = client.get(sent).await.unwrap().unwrap().enqueued_at + Duration::from_mins(2);
    for waits in [
        job(name),
        job(name).run_at(soon),
        job(name).run_at(later),
        job(name).unique_key("one").run_at(later),
        job(name).idempotency_key(IdempotencyKey { key: "key".to_owned(), fingerprint: "same".to_owned() }),
    ] {
        all.push(client.enqueue(waits).await.unwrap().id());
    }
    all
}

#[tokio::test]
async fn nothing_in_any_key_names_a_forgotten_tenant_or_its_jobs_and_namesakes_keep_all() {
    // Names that begin, end or match like the one that goes.
    const OTHERS: [&str; 3] = ["g*ne-too", "not-g*ne", "gone"];
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(8), |claimed| async move {
        if claimed.lane.name.as_str() == "parent" {
            claimed.lease.log(["a line".to_owned()]).await.unwrap();
            let later = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
            let child = NewJob { tenant: claimed.tenant.clone(), ..job("any") }.run_at(later);
            return Done::empty().then(child).into();
        }
        done()
    });
    let (mut others, mut waiting) = (Vec::new(), Vec::new());
    for name in OTHERS {
        let all = corners(&client, name).await;
        waiting.push(all[all.len() - 5]);
        others.extend(all);
    }
    let mut before = Vec::new();
    for id in &others {
        before.push(client.get(*id).await.unwrap().unwrap().state);
    }
    let gone = corners(&client, "g*ne").await;
    let needles: Vec<Vec<u8>> = gone.iter().map(|id| id.as_bytes()[2..].to_vec()).collect();
    assert!(naming(&server, &needles).await.len() > gone.len());

    until("nothing is left", || async { (walk(&client, "g*ne").await == (0, 0)).then_some(()) }).await;
    client.resume_tenant(&tenant("g*ne")).await.unwrap();
    // Bare ids stand in the lists by time until it comes.
    let mut left = naming(&server, &needles).await;
    left.retain(|named| !named.contains(":1:finished:") && !named.contains(":1:later:"));
    assert!(left.is_empty(), "{left:#?}");
    let named = naming(&server, &[b"g*ne".to_vec()]).await;
    let left: Vec<&String> = named.iter().filter(|named| !OTHERS.iter().any(|other| named.contains(other))).collect();
    assert!(left.is_empty(), "{left:#?}");

    for (id, state) in others.iter().zip(before) {
        let now = client.get(*id).await.unwrap().map(|record| record.state);
        assert_eq!(now, Some(state), "{id}");
    }
    for (name, waits) in OTHERS.into_iter().zip(waiting) {
        let rule = format!("{name}\0\u{6}paused");
        let rules = naming(&server, &[rule.into_bytes()]).await;
        assert!(rules.iter().any(|named| named.contains(":1:rules:")), "{name}'s lane has its rule: {rules:#?}");
        client.resume_tenant(&tenant(name)).await.unwrap();
        until_state(&client, waits, JobState::Completed).await;
        let taken = |key: &str| client.enqueue(job(name).unique_key(key));
        for key in ["one", "a day"] {
            let answer = taken(key).await.unwrap();
            assert!(matches!(answer, Enqueued::UniqueTaken(_)), "{name} keeps its key {key}: {answer:?}");
        }
        let waits = client.enqueue(job(name).lane(lane("paused"))).await.unwrap().id();
        let marker = client.enqueue(job(name)).await.unwrap().id();
        until_state(&client, marker, JobState::Completed).await;
        assert_eq!(client.get(waits).await.unwrap().unwrap().state, JobState::Available, "{name}'s lane is paused");
        let scope = client.scope(&tenant(name), &ScopeKey::parse("mailbox:a@b").unwrap()).await.unwrap();
        assert!(scope.is_some(), "{name}'s limits are there");
    }
    worker.stop().await;
}

#[tokio::test]
async fn what_runs_for_a_forgotten_tenant_is_asked_to_stop() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(2), |claimed| async move {
        claimed.lease.lost_or_cancelled().await;
        Err(Stop::Cancelled)
    });
    let (ours, theirs) =
        (client.enqueue(job("gone")).await.unwrap().id(), client.enqueue(job("stays")).await.unwrap().id());
    for id in [ours, theirs] {
        until_state(&client, id, JobState::Running).await;
    }
    client.pause_tenant(&tenant("gone")).await.unwrap();
    assert_eq!(walk(&client, "gone").await.1, 1);
    until("it has ended and is gone", || async {
        walk(&client, "gone").await;
        client.get(ours).await.unwrap().is_none().then_some(())
    })
    .await;
    let theirs = client.get(theirs).await.unwrap().unwrap();
    assert!(theirs.state == JobState::Running && !theirs.cancel_requested, "{theirs:?}");
    worker.abort().await;
}
