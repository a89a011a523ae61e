//! Payloads that lie in the object store because they are too large for the queue.

use std::path::PathBuf;
use std::time::Duration;

use postrider_queue::{QueueClient, QueueConfig};
use postrider_shared::clock::Clock;
use postrider_shared::config::{DatabaseConfig, ObjectsConfig};
use postrider_shared::database::Database;
use postrider_shared::objects::Objects;
use postrider_shared::payloads::{PayloadSweep, Payloads};
use postrider_shared::stores::Stores;
use postrider_tests::{Api, DatabaseKind, Platform, eventually};
use serde_json::{Value, json};

on_both_databases!(
    large_payloads_reach_their_handlers,
    a_payload_that_is_gone_kills_its_job_and_says_so,
    an_api_killed_between_storing_and_enqueueing_leaves_nothing_for_ever,
);

/// An echo of so many bytes, which is more than the queue takes.
fn echo(bytes: usize) -> Value {
    json!({ "kind": "diagnostic.echo", "payload": { "data": "x".repeat(bytes) } })
}

const MEGABYTE: usize = 1024 * 1024;

/// The files of payloads.
fn files(platform: &Platform) -> Vec<PathBuf> {
    let Ok(tenants) = std::fs::read_dir(platform.folder().join("objects")) else { return Vec::new() };
    let folders = tenants.filter_map(|tenant| std::fs::read_dir(tenant.ok()?.path().join("payloads")).ok());
    let mut files: Vec<PathBuf> = folders.flatten().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files
}

async fn large_payloads_reach_their_handlers(database: DatabaseKind) {
    let platform = Platform::with(database).apis(2).workers(2).start().await;
    let api = platform.tenant("Heavy").await;
    let other = api.at(platform.api_addresses()[1].clone());
    let mut ids = Vec::new();
    for (api, bytes) in [(&api, MEGABYTE), (&other, 9 * MEGABYTE), (&other, 256 * 1024)] {
        ids.push((api.submit_body(&echo(bytes)).await.id, bytes));
    }
    for (id, bytes) in ids {
        let job = api.finished(&id).await;
        assert_eq!(job.state, "completed", "{job:?}");
        // The handler gave back what it was given; of so much the queue keeps the size.
        let output = job.output.unwrap().to_string();
        assert!(output.contains(&(bytes + 2).to_string()), "{bytes}: {output:.300}");
    }
    assert_eq!(files(&platform).len(), 3);
    platform.finish().await;
}

async fn letter_of(api: &Api, job: &str) -> Value {
    eventually("the job's dead letter", || async {
        api.all("/v1/dead-letters").await.into_iter().find(|letter| letter["job_id"] == job)
    })
    .await
}

async fn a_payload_that_is_gone_kills_its_job_and_says_so(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let api = platform.tenant("Forgetful").await;
    platform.worker(0).stop(Duration::from_secs(20)).await;
    let lost = api.submit_body(&echo(MEGABYTE)).await.id;
    let gone = files(&platform).remove(0);
    let kept = platform.folder().join("kept.json");
    std::fs::rename(&gone, &kept).unwrap();
    platform.worker(0).start();
    let dead = api.finished(&lost).await;
    let error = dead.error.unwrap();
    assert!(dead.state == "dead" && error.contains("not in the object store (OBJECT_STORE_URL)"), "{error}");
    let letter = letter_of(&api, &lost).await;
    assert_eq!((&letter["payload"], &letter["stored_payload_bytes"]), (&Value::Null, &json!(MEGABYTE + 11)));

    // Put back, it is redriven.
    std::fs::rename(&kept, &gone).unwrap();
    let path = format!("/v1/dead-letters/{}/redrive", letter["id"].as_str().unwrap());
    let redriven = api.post(&path, &json!({})).await.ok();
    assert_eq!(api.finished(redriven["redriven_job_id"].as_str().unwrap()).await.state, "completed");

    // One that was changed is not run.
    platform.worker(0).stop(Duration::from_secs(20)).await;
    let changed = api.submit_body(&echo(MEGABYTE)).await.id;
    let file = files(&platform).into_iter().find(|file| *file != gone).unwrap();
    std::fs::write(file, "{\"data\":1}").unwrap();
    platform.worker(0).start();
    let error = api.finished(&changed).await.error.unwrap();
    assert!(error.contains("not the one that was stored"), "{error}");
    let letter = letter_of(&api, &changed).await;
    let path = format!("/v1/dead-letters/{}/redrive", letter["id"].as_str().unwrap());
    let redriven = api.post(&path, &json!({ "payload": { "data": "small" } })).await.ok();
    let done = api.finished(redriven["redriven_job_id"].as_str().unwrap()).await;
    assert_eq!((done.state.as_str(), done.output), ("completed", Some(json!("small"))));
    platform.finish().await;
}

async fn an_api_killed_between_storing_and_enqueueing_leaves_nothing_for_ever(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let api = platform.tenant("Interrupted").await;
    platform.redis().kill();
    let body = echo(MEGABYTE);
    let asked = api.post("/v1/jobs", &body);
    let killed = async {
        eventually("the payload is stored", || async { files(&platform).first().cloned() }).await;
        platform.api_process(0).kill();
    };
    // The connection breaks: nobody was told that the job was accepted.
    tokio::select! {
        biased;
        () = killed => {}
        answer = asked => panic!("{answer:?}"),
    }
    platform.redis().restart().await;
    platform.api_process(0).start();
    platform.api_process(0).ready().await;
    assert_eq!(api.all("/v1/jobs").await.len(), 0);
    assert_eq!(files(&platform).len(), 1);

    // What the scheduler does two hours later.
    let clock = Clock::manual(Clock::system().now() + Duration::from_hours(2));
    let database = Database::connect(&DatabaseConfig::at(platform.database().url())).await.unwrap();
    let store = format!("file://{}", platform.folder().join("objects").display());
    let payloads = Payloads::new(database.clone(), Objects::open(&ObjectsConfig::at(store)).unwrap(), clock.clone());
    let queue = QueueClient::connect(QueueConfig::new(platform.redis().url())).await.unwrap();
    let sweep = PayloadSweep::new(payloads, Stores::new(&database, &clock, None).dead_letters, queue);
    assert_eq!(sweep.step(10).await.unwrap().looked, 1);
    assert_eq!((files(&platform).len(), sweep.step(10).await.unwrap().looked), (0, 0));
    platform.finish().await;
}
