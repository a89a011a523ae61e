//! A business that is deleted leaves nothing, whatever is killed meanwhile, and nobody else notices.

use std::path::Path;
use std::time::Duration;

use postrider_queue::JobId;
use postrider_tests::wait::within;
use postrider_tests::{Api, DatabaseKind, Platform};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

on_both_databases!(a_deleted_tenant_leaves_nothing_although_its_workers_are_killed);

async fn a_deleted_tenant_leaves_nothing_although_its_workers_are_killed(database: DatabaseKind) {
    let platform = Platform::with(database).workers(2).start().await;
    let stays = platform.tenant("Stays").await;
    let (office, _) = platform.quoted("fetch").await;
    let (id, gone, root) = (office.tenant_id.as_str(), &office.api, platform.api());
    let key = platform.key(gone, "tenant_admin").await;
    let name = root.get(&format!("/v1/tenants/{id}")).await.ok()["name"].as_str().unwrap().to_owned();
    let theirs = platform.folder().join("objects").join(id_of(&platform, "Stays").await).join("brand/logo.png");
    std::fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    std::fs::write(&theirs, "a logo").unwrap();
    // A process was killed while it wrote this.
    let half = platform.folder().join("objects").join(id).join("brand/logo.png#1");
    std::fs::create_dir_all(half.parent().unwrap()).unwrap();
    std::fs::write(&half, "half a lo").unwrap();
    assert!(
        !files(&platform, id).is_empty() && !keys(&platform, id).await.is_empty(),
        "there is something to be deleted"
    );
    let delete = async |confirm: &str, days: u32| {
        let confirm = confirm.replace(' ', "%20").replace('&', "%26").replace('ü', "%C3%BC");
        root.delete(&format!("/v1/tenants/{id}?confirm={confirm}&delay_days={days}")).await
    };
    assert_eq!(delete(&name, 0).await.status, 409, "it is active");
    root.post(&format!("/v1/tenants/{id}/suspend"), &json!({})).await.expect_status(200);
    let waiting: Vec<Value> = (0..1_000).map(|_| json!({ "kind": "diagnostic.echo" })).collect();
    gone.post("/v1/jobs/batch", &waiting).await.expect_status(202);
    gone.submit_body(&json!({ "kind": "diagnostic.echo", "run_at": "2999-01-01T00:00:00Z" })).await;

    assert_eq!(delete("Somebody else", 7).await.status, 400);
    for days in [91, u32::MAX] {
        assert_eq!(delete(&name, days).await.status, 400, "{days} days");
    }
    let asked = delete(&name, 7).await.expect_status(202).body;
    assert_eq!(asked["state"], "deleting");
    assert!(asked["delete_after"].is_string());
    assert_eq!(key.get("/v1/jobs").await.status, 403);
    let restored = root.post(&format!("/v1/tenants/{id}/restore"), &json!({})).await.expect_status(200).body;
    assert_eq!((&restored["state"], &restored["delete_after"]), (&json!("suspended"), &Value::Null));

    delete(&name, 0).await.expect_status(202);
    within(PATIENCE, "the deletion to begin", || async {
        let tenant = root.get(&format!("/v1/tenants/{id}")).await;
        (tenant.status == 404 || tenant.body["state"] == "deleted").then_some(())
    })
    .await;
    for worker in platform.workers() {
        worker.kill_and_restart().await;
    }
    within(PATIENCE, "the tenant to be gone", || async {
        (root.get(&format!("/v1/tenants/{id}")).await.status == 404).then_some(())
    })
    .await;
    // An API may believe for a second what it has read.
    within(PATIENCE, "its key to be unknown", || async { (key.get("/v1/jobs").await.status == 401).then_some(()) })
        .await;
    assert_eq!(gone.get("/v1/jobs").await.status, 404);
    assert_eq!(files(&platform, id), Vec::<String>::new());
    assert_eq!(keys(&platform, id).await, Vec::<String>::new());
    let events = root.get(&format!("/v1/audit-events?subject={id}&operation=delete_tenant")).await.ok();
    assert_eq!(events["items"].as_array().unwrap().len(), 2, "who did it is kept: {events:#}");

    assert!(theirs.exists(), "the other's files stay");
    let echo = stays.submit("diagnostic.echo", &json!({})).await;
    assert_eq!(stays.finished(&echo.id).await.state, "completed");
    platform.finish().await;
}

/// The id of the tenant of this name.
async fn id_of(platform: &Platform, name: &str) -> String {
    let all = platform.api().all("/v1/tenants").await;
    all.iter().find(|tenant| tenant["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
}

/// Redis keys that name the tenant.
async fn keys(platform: &Platform, id: &str) -> Vec<String> {
    let mut redis = platform.redis().connection().await;
    redis::cmd("KEYS").arg(format!("*{id}*")).query_async(&mut redis).await.unwrap()
}

/// Files in folders of the tenant's.
fn files(platform: &Platform, id: &str) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&entry.path(), found);
            } else {
                found.push(entry.path().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(platform.folder(), &mut found);
    found.retain(|path| path.contains(&format!("/{id}/")));
    found
}

/// What runs is asked to stop and waited for, also in a process that hangs: nothing of it comes after the end.
#[tokio::test]
async fn a_deletion_stops_what_runs_and_waits_for_it() {
    let platform = Platform::with(DatabaseKind::Sqlite).workers(2).start().await;
    let (gone, stays, root) = (platform.tenant("Busy").await, platform.tenant("Stays").await, platform.api());
    let running = async |api: &Api| {
        let job = api.submit("diagnostic.sleep", &json!({ "ms": 600_000 })).await;
        within(PATIENCE, "it to run", || async { (api.job(&job.id).await.state == "running").then_some(()) }).await;
        job.id
    };
    // One worker hangs with the job of who goes; the other one deletes.
    platform.worker(1).kill();
    let ours = running(&gone).await;
    platform.worker(0).pause();
    platform.worker(1).start();
    platform.worker(1).ready().await;
    let theirs = running(&stays).await;
    let id = id_of(&platform, "Busy").await;
    root.post(&format!("/v1/tenants/{id}/suspend"), &json!({})).await.expect_status(200);
    root.delete(&format!("/v1/tenants/{id}?confirm=Busy&delay_days=0")).await.expect_status(202);
    within(PATIENCE, "the tenant to be gone", || async {
        (root.get(&format!("/v1/tenants/{id}")).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(keys(&platform, &id).await, Vec::<String>::new());
    let job: JobId = ours.parse().unwrap();
    let mut redis = platform.redis().connection().await;
    let homes: Vec<String> =
        redis::cmd("KEYS").arg(format!("{{pr:{}}}:1:jobs*", job.shard())).query_async(&mut redis).await.unwrap();
    for home in homes {
        let of_it = redis::cmd("HEXISTS").arg(&home).arg(&job.as_bytes()[2..]).to_owned();
        assert!(!of_it.query_async::<bool>(&mut redis).await.unwrap(), "a record of what ran is left in {home}");
    }
    assert_eq!(stays.job(&theirs).await.state, "running");
    stays.post(&format!("/v1/jobs/{theirs}/cancel"), &json!({})).await.ok();
    platform.worker(0).resume();
    platform.finish().await;
}
