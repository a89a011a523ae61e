//! The README's walk through a client's life, command by command, against a running installation.

use std::fmt::Write as _;

use postrider_tests::{Platform, eventually};
use serde_json::Value;
use tokio::process::Command;

const README: &str = include_str!("../../README.md");
const HEADING: &str = "## A client's whole life, with curl\n";

/// The commands of the section, in their order.
fn commands() -> String {
    let section = README.split_once(HEADING).expect("the section").1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let mut commands = String::new();
    for block in section.split("```sh\n").skip(1) {
        let _ = write!(commands, "{}", block.split_once("```").expect("the end of a block").0);
    }
    commands
}

#[tokio::test]
async fn the_readmes_commands_do_what_it_says() {
    let platform = Platform::start().await;
    let commands = commands();
    assert_eq!(commands.matches("curl -sS").count(), 3, "all calls go through these:\n{commands}");
    let shell = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands])
        .env("POSTRIDER_URL", platform.api().base())
        .env("PLATFORM_KEY_FILE", platform.folder().join("platform_key"))
        .kill_on_drop(true)
        .output();
    let limit = std::time::Duration::from_secs(90);
    let shell = tokio::time::timeout(limit, shell).await.expect("the commands end").expect("bash");
    let (told, errors) = (String::from_utf8_lossy(&shell.stdout), String::from_utf8_lossy(&shell.stderr));
    assert!(shell.status.success(), "{told}\n{errors}");

    // What they print is what the text around them promises.
    for promised in [
        "\"existed\":true",
        "event: job\n",
        "\"index\":2,\"status\":202",
        "\"state\":\"cancelled\"",
        "\"state\":\"dead\"",
        "no such street",
        "\"cancelled\":2",
        "\"settled\":2",
    ] {
        assert!(told.contains(promised), "{promised} is not in:\n{told}");
    }
    let tenants = platform.api().all("/v1/tenants").await;
    let tenant = tenants.iter().find(|tenant| tenant["name"] == "Curl and sons").expect("the tenant");
    let api = platform.api().for_tenant(tenant["id"].as_str().unwrap());
    // The last ones that were redriven.
    let ended = |job: &Value| matches!(job["state"].as_str(), Some("completed" | "cancelled" | "dead"));
    let jobs = eventually("the end of all jobs", || async {
        Some(api.all("/v1/jobs?sort=oldest").await).filter(|jobs| jobs.len() == 16 && jobs.iter().all(ended))
    })
    .await;
    let lived: Vec<(&str, &str)> =
        jobs.iter().map(|job| (job["kind"].as_str().unwrap(), job["state"].as_str().unwrap())).collect();
    let (echo, sleep, fail) = ("diagnostic.echo", "diagnostic.sleep", "diagnostic.fail");
    let expected = [
        (sleep, "completed"),
        (sleep, "completed"),
        (echo, "completed"),
        (echo, "completed"),
        (echo, "completed"),
        (echo, "cancelled"),
        (echo, "cancelled"),
        (echo, "cancelled"),
        ("cancel_jobs", "completed"),
        (fail, "dead"),
        (fail, "completed"),
        (fail, "dead"),
        (fail, "dead"),
        ("settle_dead_letters", "completed"),
        (fail, "completed"),
        (fail, "completed"),
    ];
    assert_eq!(lived, expected);
    assert_eq!(api.all("/v1/dead-letters?state=redriven").await.len(), 3);
    platform.finish().await;
}
