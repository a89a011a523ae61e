//! A new key for all secrets while everything runs.

use std::process::Command;
use std::time::Duration;

use postrider_tests::platform::Office;
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform, Process};
use serde_json::{Value, json};

const OLD: &str = "old:dGVzdHMgc2VhbCB3aXRoIHRoaXMga2V5LCBubyBvbmU=";
const NEW: &str = "new:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const GRACE: Duration = Duration::from_secs(30);
const NEVER: u32 = 86_400;

on_both_databases!(a_key_is_replaced_process_by_process);

/// The order that deploy/env.example tells: last everywhere, then first everywhere, then the rotation, then away with the old one.
async fn a_key_is_replaced_process_by_process(database: DatabaseKind) {
    let platform = Platform::with(database).apis(2).setting("SECRET_KEYS", &OLD).start().await;
    let office = platform.workshop(NEVER).await;
    let (first, second) = (platform.api_process(0), platform.api_process(1));
    for process in [first, second, platform.worker(0)] {
        with_keys(process, &format!("{OLD},{NEW}")).await;
    }

    // One process seals with the new key now. The others know it already, so what it sealed opens there.
    with_keys(first, &format!("{NEW},{OLD}")).await;
    let other = platform.mailbox(&office.api, "second@lindner-schilder.example", json!({})).await;
    let other = Office { account_id: other, ..office.clone() };
    other.poll().await;
    office.poll().await;
    assert_eq!(keys(&platform).await, json!([["new", 1], ["old", 1]]));

    // A worker that still seals with the old key does not rotate: it would go back.
    let begun = platform.api().post("/v1/secrets/rotate", &json!({})).await.expect_status(202);
    let place = begun.header("location").unwrap().to_owned();
    let waiting = rotation(&platform, &place, |job| job["snoozes"].as_u64() > Some(0)).await;
    assert_eq!(waiting["attempt"], json!(0), "waiting costs no attempt: {waiting:#}");
    let twice = platform.api().post("/v1/secrets/rotate", &json!({})).await.expect_status(202).body;
    assert_eq!((&twice["existed"], &twice["id"]), (&json!(true), &waiting["id"]));
    for process in [second, platform.worker(0)] {
        with_keys(process, &format!("{NEW},{OLD}")).await;
    }
    let done = rotation(&platform, &place, |job| job["state"] == "completed").await;
    assert_eq!(done["output"]["summary"], json!(["0 values left under key old: it may be removed"]), "{done:#}");
    assert_eq!(done["output"]["resealed"], 1);
    assert_eq!(keys(&platform).await, json!([["new", 2], ["old", 0]]));

    for process in [first, second, platform.worker(0)] {
        with_keys(process, NEW).await;
    }
    office.poll().await;
    other.poll().await;
    platform.finish().await;
}

/// The short form of `bench rotate`: under load, and with a worker that is killed.
#[test]
fn many_values_are_rotated_under_load() {
    let ran = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["rotate", "--values", "3000", "--json"])
        .output()
        .expect("the bench starts");
    let said = String::from_utf8_lossy(&ran.stderr);
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert!(ran.status.success(), "{report:#}\n{said}");
}

async fn with_keys(process: &Process, keys: &str) {
    assert!(process.stop(GRACE).await.success(), "{}", process.log_tail(20));
    process.set("SECRET_KEYS", keys);
    process.start();
    process.ready().await;
}

/// Ids and numbers of values, by id.
async fn keys(platform: &Platform) -> Value {
    let secrets = platform.api().get("/v1/secrets").await.ok();
    let mut keys: Vec<Value> =
        secrets["keys"].as_array().unwrap().iter().map(|key| json!([key["id"], key["values"]])).collect();
    keys.sort_by_key(ToString::to_string);
    Value::Array(keys)
}

async fn rotation(platform: &Platform, place: &str, is_there: impl Fn(&Value) -> bool) -> Value {
    within(Duration::from_secs(60), "the rotation to get on", || async {
        let job = platform.api().get(place).await.ok();
        is_there(&job).then_some(job)
    })
    .await
}
