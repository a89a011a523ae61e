//! A session that was taken for dead comes back, and nothing that it held stays charged with a crash.

use super::in_slices::{NAME, job, open, take};
use crate::{
    client::QueueClient,
    id::JobId,
    job::{Enqueued, MAX_PAYLOAD_BYTES, NewJob},
    leaping::Server,
    script, wire,
};

/// A session that holds these jobs, and its time to live is over.
async fn given_up(server: &Server, client: &QueueClient, jobs: Vec<NewJob>) -> Vec<JobId> {
    let many = jobs.len();
    let mut ids = Vec::new();
    for jobs in jobs.chunks(128) {
        ids.extend(client.enqueue_many(jobs.to_vec()).await.unwrap().iter().map(Enqueued::id));
    }
    open(client).await;
    let (mut held, mut sequence) = (0, 0);
    while held < many {
        sequence += 1;
        held += take(client, sequence, 256, Vec::new()).await.1.claimed();
    }
    client.tick().await.unwrap();
    server.leap(3_700_000);
    ids
}

/// A step of maintenance, which gives nobody a time of grace.
async fn step(client: &QueueClient) -> bool {
    let args = vec![b"0".to_vec(), b"80".to_vec()];
    let told = client.link().call(&script::without_time(&script::TICK), 0, &args).await.unwrap();
    wire::integer(&wire::list(told).unwrap()[4]).unwrap() == 1
}

/// The session says that it lives; it is told that it was given up.
async fn comes_back(client: &QueueClient) {
    let args = vec![NAME.to_vec(), b"60000".to_vec(), b"0".to_vec()];
    let told = wire::list(client.link().call(&script::RENEW, 0, &args).await.unwrap()).unwrap();
    assert_eq!(wire::integer(&told[0]).unwrap(), 0);
}

async fn charged(client: &QueueClient, ids: &[JobId]) -> usize {
    let mut charged = 0;
    for id in ids {
        charged += usize::from(client.get(*id).await.unwrap().unwrap().crashes > 0);
    }
    charged
}

async fn all_steps(client: &QueueClient) {
    for _ in 0..200 {
        if !step(client).await {
            return;
        }
    }
    panic!("there is always more to be done");
}

#[tokio::test]
async fn however_many_it_held() {
    let server = Server::start();
    let client = server.client().await;
    let ids = given_up(&server, &client, vec![job(); 600]).await;
    all_steps(&client).await;
    assert_eq!(charged(&client, &ids).await, 600);
    comes_back(&client).await;
    all_steps(&client).await;
    assert_eq!(charged(&client, &ids).await, 0);
    assert!(
        !client.link().at(0).unwrap().command::<bool>(redis::cmd("EXISTS").arg("{pr:0}:1:pardoned")).await.unwrap()
    );
}

#[tokio::test]
async fn also_what_was_still_to_be_taken_back() {
    let server = Server::start();
    let client = server.client().await;
    let ids = given_up(&server, &client, vec![job(); 200]).await;
    assert!(step(&client).await, "it holds more");
    let at_first = charged(&client, &ids).await;
    assert!(at_first > 0 && at_first < 200, "{at_first}");
    comes_back(&client).await;
    all_steps(&client).await;
    assert_eq!(client.queue(&job().queue).await.unwrap().available, 200);
    assert_eq!(charged(&client, &ids).await, 0);
}

#[tokio::test]
async fn large_jobs_make_no_call_long() {
    let server = Server::start();
    let client = server.client().await;
    let payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES - 2)).into_bytes();
    let ids = given_up(&server, &client, vec![NewJob { payload, ..job() }; 16]).await;
    all_steps(&client).await;
    assert_eq!(charged(&client, &ids).await, 16);
    comes_back(&client).await;
    assert!(charged(&client, &ids).await >= 13, "it looked at half a MiB of them");
    all_steps(&client).await;
    assert_eq!(charged(&client, &ids).await, 0);
}
