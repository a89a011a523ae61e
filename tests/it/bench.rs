//! The benchmarks still run. How fast anything is, no test says: on a shared machine that is chance.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_scenario_without_a_peer_runs() {
    let ran = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["table", "--tiny", "--runs", "1", "--json"])
        .output()
        .expect("the bench starts");
    let said = String::from_utf8_lossy(&ran.stderr);
    let page: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert!(ran.status.success(), "{page:#}\n{said}");
    assert_eq!((&page["lost"], &page["repeated"]), (&Value::from(0), &Value::from(0)));

    let figures = page["figures"].as_array().expect("figures");
    let median = |scenario: &str, contestant: &str, sync: &str| {
        let wanted = figures.iter().find(|figure| {
            figure["scenario"] == scenario && figure["contestant"] == contestant && figure["appendfsync"] == sync
        });
        wanted.and_then(|figure| figure["median"].as_f64())
    };
    let scenarios = [
        ("enqueue-one", "limit"),
        ("enqueue-one", "engine"),
        ("enqueue-one", "stock"),
        ("enqueue-concurrent", "engine"),
        ("enqueue-bulk", "engine"),
        ("drain", "limit"),
        ("drain", "engine"),
        ("drain", "engine × 4"),
        ("drain", "stock"),
        ("memory, pending", "engine"),
        ("memory, finished", "engine"),
        ("backlog", "many"),
        ("lanes", "many, limited"),
        ("latency p50", "engine"),
    ];
    for (scenario, contestant) in scenarios {
        let found = median(scenario, contestant, "everysec");
        assert!(found.is_some_and(|value| value > 0.0), "{scenario} of {contestant} has no figure: {found:?}");
    }
    assert!(median("drain", "engine", "always").is_some(), "the log's other setting is measured as well");
}
