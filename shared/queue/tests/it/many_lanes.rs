//! A hundred thousand lanes in a queue are normal: what a call does follows from what it takes, not from how many lanes there are.

use std::collections::BTreeMap;

use postrider_queue::{Lane, LaneName, NewJob, QueueClient};
use tokio::sync::mpsc;

use crate::{
    huge::{Call, Watch},
    server::{Server, WORK, config, done, job, tenant, until, work},
};

const LANES: u32 = 100_000;
/// With so many, every list that a call looks at is as long as it looks.
const FEW: u32 = 1_000;

fn lane(n: u32) -> Lane {
    Lane::named(LaneName::parse(format!("lane-{n}")).unwrap())
}

/// Runs so many jobs, one at a time.
async fn run(client: &QueueClient, jobs: usize) {
    let (told, mut ran) = mpsc::unbounded_channel();
    let worker = work(client, config(1), move |_| {
        let _ = told.send(());
        async { done() }
    });
    for _ in 0..jobs {
        ran.recv().await.unwrap();
    }
    worker.abort().await;
}

/// The largest calls of each script while jobs run and lanes are paused, weighed and cancelled, among so many lanes.
async fn largest_among(lanes: u32) -> BTreeMap<&'static str, Call> {
    let server = Server::start().await;
    let client = server.client().await;
    let jobs: Vec<NewJob> = (0..lanes).map(|n| job("acme").lane(lane(n))).collect();
    client.enqueue_many(jobs).await.unwrap();
    assert_eq!(client.queue(&WORK).await.unwrap().lanes, u64::from(lanes));
    let watch = Watch::over(&server).await;
    let acme = tenant("acme");
    run(&client, 50).await;
    // The first call of a script brings its text along, and is not told by its name.
    for of in [400, 410] {
        client.pause_lane(&acme, &WORK, &lane(of)).await.unwrap();
        client.cancel_lane(&acme, &WORK, &lane(of + 100)).await.unwrap();
        client.weigh_lane(&acme, &WORK, &lane(of + 200), 3).await.unwrap();
    }
    run(&client, 50).await;
    client.resume_lane(&acme, &WORK, &lane(400)).await.unwrap();
    until("the cancelled jobs have ended", || async {
        client.tick().await.unwrap();
        (client.queue(&WORK).await.unwrap().available <= u64::from(lanes - 102)).then_some(())
    })
    .await;
    client.enqueue(job("acme").lane(lane(lanes))).await.unwrap();
    client.enqueue(job("acme").lane(lane(lanes + 1))).await.unwrap();
    until("the last call was seen", || async { watch.seen().contains_key("enqueue_plain").then_some(()) }).await;
    watch.seen()
}

#[tokio::test]
async fn a_hundred_thousand_lanes_cost_a_call_no_more_than_a_thousand() {
    let (few, many) = (largest_among(FEW).await, largest_among(LANES).await);
    for script in ["turn", "tick", "stats", "pause_lane", "cancel_lane", "weigh", "enqueue_plain"] {
        let (few, many) = (few[script], many[script]);
        println!("{script}: {} commands among {FEW} lanes, {} among {LANES}", few.commands, many.commands);
        // A turn or a step of maintenance may come across one thing more.
        assert!(many.commands <= few.commands + 12, "{script}: {many:?}, among few lanes {few:?}");
        assert!(many.arguments <= few.arguments + 100, "{script}: {many:?}, among few lanes {few:?}");
    }
    assert!(many["turn"].commands < 80, "{:?}", many["turn"]);
}
