//! The queue on two Redis servers, of which one is away.

use postrider_tests::{DatabaseKind, Platform, RedisServer, eventually};
use serde_json::json;

#[tokio::test]
async fn dead_letters_of_the_living_server_are_archived() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = RedisServer::start(folders[0].path(), None).await;
    let second = RedisServer::start(folders[1].path(), None).await;
    let urls = [first.url(), second.url()].join(",");
    let platform = Platform::with(DatabaseKind::Sqlite).setting("REDIS_URL", &urls).start().await;
    first.kill();
    let mut living = 0;
    while living < 8 {
        let api = platform.tenant("One of several").await;
        let payload = json!({ "times": 9, "permanent": true, "error": "no such street" });
        let submitted = api.post("/v1/jobs", &json!({ "kind": "diagnostic.fail", "payload": payload })).await;
        if submitted.status == 503 {
            continue;
        }
        submitted.expect_status(202);
        eventually("its dead letter", || async {
            let letters = api.get("/v1/dead-letters").await.ok();
            (letters["items"].as_array().unwrap().len() == 1).then_some(())
        })
        .await;
        living += 1;
    }
    platform.abandon("the servers are the test's own");
}
