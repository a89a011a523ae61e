//! Jobs as large as they may be: one call of a script reads a bounded number of bytes, and callers see all the same.

use std::collections::BTreeMap;

use postrider_queue::{
    Enqueued, ForgetPlace, JobId, ListFilter, MAX_PAYLOAD_BYTES, NewJob, QueueClient, Stop, Walk, script_name,
};

use crate::server::{Server, WORK, config, job, tenant, until, work};

/// So many jobs. All together they weigh 24 MiB.
const MANY: usize = 96;
/// The bound is 1 MiB, and the last of a scan may come with a few others.
const MOST_BYTES: u64 = 5 << 20;

fn heavy() -> NewJob {
    NewJob { payload: format!("\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES - 2)).into_bytes(), ..job("acme") }
}

async fn command<T: redis::FromRedisValue>(server: &Server, words: &[&str]) -> T {
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut server.redis().await).await.unwrap()
}

/// The bytes that Redis sent, and the scripts that it was asked for.
async fn sent(server: &Server) -> (u64, u64) {
    let info: String = command(server, &["INFO", "all"]).await;
    let figure = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    };
    (figure("total_net_output_bytes:"), figure("cmdstat_evalsha:calls="))
}

/// The slowest call of each script, in microseconds.
async fn slowest(server: &Server) -> BTreeMap<&'static str, i64> {
    type Entry = (i64, i64, i64, Vec<Vec<u8>>, redis::Value, redis::Value);
    let entries: Vec<Entry> = command(server, &["SLOWLOG", "GET", "1000"]).await;
    let mut slowest = BTreeMap::new();
    for (_, _, micros, words, ..) in entries {
        if let Some(name) = words.get(1).and_then(|sha| script_name(&String::from_utf8_lossy(sha))) {
            let most = slowest.entry(name).or_default();
            *most = micros.max(*most);
        }
    }
    slowest
}

async fn enqueue(client: &QueueClient, make: impl Fn() -> NewJob) -> Vec<JobId> {
    let mut ids = Vec::new();
    for _ in 0..MANY / 8 {
        let some = client.enqueue_many((0..8).map(|_| make()).collect()).await.unwrap();
        ids.extend(some.iter().map(Enqueued::id));
    }
    ids
}

async fn walked(client: &QueueClient) -> usize {
    let (mut place, mut seen) = (Some(Walk::default()), std::collections::HashSet::new());
    while let Some(walk) = place {
        let (records, next) = client.waiting(&tenant("acme"), &ListFilter::default(), &walk).await.unwrap();
        seen.extend(records.iter().map(|record| record.id));
        place = next;
    }
    seen.len()
}

async fn forgotten(client: &QueueClient) -> u64 {
    let (mut place, mut removed) = (Some(ForgetPlace::default()), 0);
    while let Some(at) = place {
        let step = client.forget_tenant(&tenant("acme"), &at).await.unwrap();
        (place, removed) = (step.next, removed + step.removed);
    }
    removed
}

#[tokio::test]
async fn a_call_reads_few_large_records_and_callers_get_them_all() {
    let server = Server::start_with(&["--slowlog-log-slower-than", "1000", "--slowlog-max-len", "4096"]).await;
    let client = server.client().await;
    let parent = client.job_id(&tenant("acme"));
    let ids = enqueue(&client, || heavy().child_of(parent)).await;
    let mut newest_first = ids.clone();
    newest_first.reverse();
    let seen = |records: Vec<postrider_queue::JobRecord>| {
        assert!(records.iter().all(|record| record.payload.len() == MAX_PAYLOAD_BYTES));
        records.iter().map(|record| record.id).collect::<Vec<_>>()
    };
    let bounded = async |what: &str, before: (u64, u64)| {
        let after = sent(&server).await;
        let (bytes, calls) = (after.0 - before.0, (after.1 - before.1).max(1));
        println!("{what}: {} KiB in {calls} calls", bytes >> 10);
        assert!(bytes / calls < MOST_BYTES, "{what}: {bytes} bytes in {calls} calls");
    };

    for limit in [MANY, 20] {
        let before = sent(&server).await;
        let page = client.list(&tenant("acme"), &ListFilter::default(), None, limit).await.unwrap();
        assert_eq!((seen(page.items), page.next.is_some()), (newest_first[..limit].to_vec(), limit < MANY));
        bounded("list", before).await;
    }
    let before = sent(&server).await;
    assert_eq!(seen(client.children(parent).await.unwrap()), newest_first);
    bounded("children", before).await;
    let before = sent(&server).await;
    let answers = futures::future::join_all(ids.iter().map(|id| client.get(*id))).await;
    assert_eq!(seen(answers.into_iter().map(|answer| answer.unwrap().unwrap()).collect()), ids);
    bounded("read", before).await;
    assert_eq!(walked(&client).await, MANY);

    let worker = work(&client, config(8), |_| async { Err(Stop::fail("heavy")) });
    until("all are dead", || async { (client.queue(&WORK).await.unwrap().dead == MANY as u64).then_some(()) }).await;
    worker.stop().await;
    let before = sent(&server).await;
    let letters = client.dead(0, 256).await.unwrap();
    assert!(letters.windows(2).all(|two| two[0].death_number < two[1].death_number));
    let mut dead = seen(letters.into_iter().map(|letter| letter.record).collect());
    dead.sort_unstable();
    let mut all = ids.clone();
    all.sort_unstable();
    assert_eq!(dead, all);
    bounded("dead", before).await;
    client.pause_tenant(&tenant("acme")).await.unwrap();
    assert!(forgotten(&client).await >= MANY as u64);
    println!("slowest calls in microseconds: {:?}", slowest(&server).await);
}
