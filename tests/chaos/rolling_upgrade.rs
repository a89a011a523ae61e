//! Workers, schedulers and APIs of an older build are replaced one by one under load by those of this build, and back again:
//! both serve the same queue at the same time, and nobody notices. At last this build stays, and the queue's data is raised to it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use postrider_shared::clock::Clock;
use postrider_tests::client::{Answer, Api};
use postrider_tests::runs::{Runs, tally};
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform, Process, Report, binaries};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::jobs;

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(60);
/// Callers that submit jobs all the time.
const CALLERS: usize = 4;

/// `previous` is a folder with the programs of the older build.
pub async fn run(seed: u64, short: bool, previous: Option<&Path>) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let rounds = if short { 1 } else { 3 };
    let this_build = binaries::folder();
    let older = previous.unwrap_or(this_build);
    let folder = tempfile::tempdir().expect("make a folder");
    let runs = Runs::at(folder.path().join("runs"));
    let platform = Platform::with(DatabaseKind::Sqlite)
        .programs(older)
        .apis(2)
        .workers(2)
        .schedulers(2)
        .setting("RUST_LOG", &"warn,postrider_worker=info,postrider_api=info,postrider_scheduler=info")
        .setting("WORKER_CONCURRENCY", &16)
        .setting("DIAGNOSTIC_LEDGER", &folder.path().join("runs").display())
        .start()
        .await;
    let client = jobs::client(platform.redis()).await;
    let callers: Vec<Caller> =
        futures::future::join_all((0..CALLERS).map(|number| Caller::new(&platform, number))).await;
    let (over, replaced) = (AtomicBool::new(false), AtomicUsize::new(0));

    let replace_all = async |programs: &Path, dice: &mut StdRng| {
        let mut all: Vec<&Process> = platform.processes().collect();
        while !all.is_empty() {
            let process = all.swap_remove(dice.random_range(0..all.len()));
            let what = process.name().split('-').next().expect("a name such as worker-0");
            let status = process.stop(GRACE).await;
            assert!(status.success(), "{} ended with {status}:\n{}", process.name(), process.log_tail(40));
            process.start_as(programs.join(format!("postrider-{what}")));
            process.ready().await;
            replaced.fetch_add(1, Ordering::Relaxed);
            if what == "worker" {
                // It takes its part before the next one goes.
                let pid = process.pid().expect("a running worker");
                within(PATIENCE, "the new worker to take jobs", || async {
                    runs.read().iter().any(|run| run.process == pid).then_some(())
                })
                .await;
            }
        }
    };
    let upgrade = async {
        for _ in 0..rounds {
            for programs in [this_build, older] {
                replace_all(programs, &mut dice).await;
            }
        }
        replace_all(this_build, &mut dice).await;
        client.raise_protocol().await.expect("raise the queue's data");
        replace_all(this_build, &mut dice).await;
        over.store(true, Ordering::Relaxed);
    };
    let submitting = futures::future::join_all(callers.iter().map(|caller| caller.submit_until(&over)));
    let (of_callers, ()) = tokio::join!(submitting, upgrade);
    jobs::drained(&client, PATIENCE).await;

    let accepted: HashSet<String> = of_callers.iter().flat_map(|caller| caller.accepted.iter().cloned()).collect();
    let tally = tally(&accepted, &runs.read());
    let wrong: usize = of_callers.iter().map(|caller| caller.wrong).sum();
    let unanswered: usize = of_callers.iter().map(|caller| caller.unanswered).sum();
    let of_this_build: Vec<String> = redis::cmd("KEYS")
        .arg("{pr:*}:1:blocks")
        .query_async(&mut platform.redis().connection().await)
        .await
        .expect("ask Redis for its keys");
    let dead = client.queue(&postrider_shared::jobs::Queue::Diagnostics.name()).await.expect("read the queue").dead;
    platform.abandon("it is measured here");

    let mut report = Report::new("rolling-upgrade");
    report
        .figure("seed", seed)
        .figure("older_build", described(previous))
        .figure("replaced", replaced.load(Ordering::Relaxed))
        .figure("shards_with_jobs_that_only_this_build_finds", of_this_build.len())
        .figure("accepted", accepted.len())
        .figure("calls_repeated_at_another_api", unanswered)
        .figure("unlike_what_was_submitted", wrong)
        .figure("dead", dead)
        .figure("lost", tally.lost)
        .figure("repeated", tally.repeated)
        .must("jobs were accepted all the time", accepted.len() >= 40 * rounds)
        .must("every build read the jobs of the other as they were", wrong == 0)
        .must("the queue's data was raised", !of_this_build.is_empty())
        .must("nothing is dead", dead == 0)
        .must("nothing is lost", tally.lost == 0)
        .must("nothing is repeated", tally.repeated == 0);
    report
}

fn described(previous: Option<&Path>) -> String {
    previous.map_or_else(
        || "the same as this one, because no --previous was given: versions were not mixed".to_owned(),
        |folder| folder.display().to_string(),
    )
}

/// A client of its own tenant, which asks the next API if one is away.
struct Caller {
    number: usize,
    apis: Vec<Api>,
}

#[derive(Default)]
struct Submitted {
    accepted: HashSet<String>,
    unanswered: usize,
    /// Jobs that an API showed otherwise than they were submitted.
    wrong: usize,
}

impl Caller {
    async fn new(platform: &Platform, number: usize) -> Self {
        let tenant = platform.tenant(&format!("Drill {number}")).await;
        Self { number, apis: platform.api_addresses().iter().map(|base| tenant.at(base.clone())).collect() }
    }

    /// Submits plain jobs, and jobs with a unique key, a time, and a lane, until it is over.
    async fn submit_until(&self, over: &AtomicBool) -> Submitted {
        let mut submitted = Submitted::default();
        let mut count = 0_usize;
        while !over.load(Ordering::Relaxed) {
            count += 1;
            let body = self.body(count);
            let key = format!("drill-{}-{count}", self.number);
            let answer = self.ask(&mut submitted, |api| {
                api.request(Method::POST, "/v1/jobs").header("Idempotency-Key", &key).json(&body)
            });
            let id = answer.await["id"].as_str().expect("a job's id").to_owned();
            // Whichever build answers now, it shows what was submitted.
            let path = format!("/v1/jobs/{id}");
            let shown = self.ask(&mut submitted, |api| api.request(Method::GET, &path)).await;
            let alike = shown["kind"] == body["kind"]
                && shown["state"] != "dead"
                && (shown["state"] == "completed" || shown["payload"]["ms"] == body["payload"]["ms"]);
            submitted.wrong += usize::from(!alike);
            submitted.accepted.insert(id);
        }
        submitted
    }

    fn body(&self, count: usize) -> Value {
        let mut body = json!({ "kind": "diagnostic.sleep", "payload": { "ms": 5 + count % 40 } });
        match count % 4 {
            1 => body["unique_key"] = json!(format!("{}-{count}", self.number)),
            2 => body["run_at"] = json!((Clock::system().now() + Duration::from_millis(500)).to_rfc3339()),
            3 => body["lane"] = json!(format!("lane-{}", count % 5)),
            _ => {}
        }
        body
    }

    /// Asks one API after the other until one accepts.
    async fn ask(&self, submitted: &mut Submitted, request: impl Fn(&Api) -> reqwest::RequestBuilder) -> Value {
        let mut tries = 0;
        loop {
            let answer = Answer::try_of(request(&self.apis[tries % self.apis.len()])).await;
            if let Ok(answer) = answer
                && answer.status < 500
            {
                return answer.ok();
            }
            tries += 1;
            submitted.unanswered += 1;
            assert!(tries < 2_000, "no API answers");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
