//! Claims of jobs that are as large as they may be.

use std::collections::BTreeMap;

use super::{
    Settling, Verdict,
    in_slices::{NAME, job, open, take},
};
use crate::{
    client::QueueClient,
    id::JobId,
    job::{MAX_PAYLOAD_BYTES, NewJob},
    lane::Lane,
    leaping::Server,
    name::{LaneName, ScopeKey, Tenant},
    scope::ScopeLimits,
    script, wire,
};

/// How many records there are, wherever they stand.
const RECORDS: &str = "
local records = 0
for _, home in ipairs(redis.call('KEYS', '{pr:0}:1:jobs*')) do records = records + redis.call('HLEN', home) end
return records";

fn large(tenant: &str) -> NewJob {
    let payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES - 2)).into_bytes();
    NewJob { tenant: Tenant::parse(tenant).unwrap(), payload, ..job() }
}

async fn enqueue(client: &QueueClient, many: usize, job: &NewJob) {
    for _ in 0..many / 8 {
        client.enqueue_many(vec![job.clone(); 8]).await.unwrap();
    }
}

/// The tenants of what a turn claims.
async fn claimed(client: &QueueClient, sequence: u64) -> Vec<String> {
    let claimed = take(client, sequence, 64, Vec::new()).await.1.read().unwrap();
    claimed.records.into_iter().map(|record| record.tenant.to_string()).collect()
}

#[tokio::test]
async fn a_call_takes_few_of_them_and_each_tenant_has_its_turn() {
    let server = Server::start();
    let client = server.client().await;
    open(&client).await;
    enqueue(&client, 80, &large("acme")).await;
    // Nobody knew yet: it is found out while they are read.
    assert_eq!(claimed(&client, 1).await.len(), 16);

    let scope = ScopeKey::parse("mailbox:a").unwrap();
    let lane = Lane::with_scopes(LaneName::default(), vec![scope.clone()]);
    let limits = ScopeLimits { in_flight: Some(30), ..ScopeLimits::default() };
    client.define_scope(&Tenant::parse("limited").unwrap(), &scope, &limits).await.unwrap();
    enqueue(&client, 32, &NewJob { lane, ..large("limited") }).await;
    enqueue(&client, 64, &NewJob { tenant: Tenant::parse("small").unwrap(), ..job() }).await;
    let mut of = BTreeMap::<_, usize>::new();
    for sequence in 2..60 {
        let tenants = claimed(&client, sequence).await;
        assert!(tenants.iter().filter(|tenant| *tenant != "small").count() <= 2, "turn {sequence}: {tenants:?}");
        for tenant in tenants {
            *of.entry(tenant).or_default() += 1;
        }
        if sequence == 8 {
            assert!(of.values().all(|taken| *taken >= 3) && of.len() == 3, "{of:?}");
        }
    }
    assert_eq!(of, BTreeMap::from([("acme".to_owned(), 64), ("limited".to_owned(), 30), ("small".to_owned(), 64)]));
}

/// Lanes with and without scopes, of several tenants, which a call empties before it knows how large their jobs are. These stand
/// in so many blocks, one after the other.
async fn a_first_call_reads_too_much(blocks: u32) {
    let server = Server::start();
    let client = server.client().await;
    open(&client).await;
    let (mut jobs, limits) = (Vec::new(), ScopeLimits { in_flight: Some(30), ..ScopeLimits::default() });
    for place in 0..24 {
        let tenant = format!("t{}", place % 3);
        let mut lane = Lane::named(LaneName::parse(format!("lane-{place}")).unwrap());
        if place % 2 == 0 {
            let scope = ScopeKey::parse(format!("mailbox:{place}")).unwrap();
            client.define_scope(&Tenant::parse(&tenant).unwrap(), &scope, &limits).await.unwrap();
            lane = Lane::with_scopes(LaneName::default(), vec![scope]);
        }
        jobs.extend(vec![NewJob { lane, ..large(&tenant) }; 2]);
    }
    for (number, job) in (0..).zip(&mut jobs) {
        job.id = Some(JobId::in_block(0, u32::from(number) % blocks, number, [7; 4]));
    }
    let mut expected = Vec::new();
    for jobs in jobs.chunks(8) {
        expected.extend(client.enqueue_many(jobs.to_vec()).await.unwrap().iter().map(crate::job::Enqueued::id));
    }
    let mut seen = Vec::new();
    let mut sequence = 0;
    while seen.len() < expected.len() {
        sequence += 1;
        let claims = take(&client, sequence, 256, Vec::new()).await.1.read().unwrap();
        let many = claims.records.len();
        assert!(many > 0 && many <= if sequence == 1 { 16 } else { 2 }, "{many} in turn {sequence}");
        seen.extend(claims.records.into_iter().map(|record| record.id));
        let stats = client.queue(&job().queue).await.unwrap();
        assert_eq!((stats.available, stats.running), ((expected.len() - seen.len()) as u64, seen.len() as u64));
    }
    let reserved = async |place: usize| {
        let scope = ScopeKey::parse(format!("mailbox:{place}")).unwrap();
        client.scope(&Tenant::parse(format!("t{}", place % 3)).unwrap(), &scope).await.unwrap().unwrap().in_flight
    };
    for place in (0..24).step_by(2) {
        assert_eq!(reserved(place).await, 2);
    }
    let of_lane = |ids: &[JobId]| -> Vec<_> { ids.iter().filter(|id| expected[..2].contains(id)).copied().collect() };
    assert_eq!(of_lane(&seen), expected[..2], "a lane keeps its order");
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_the_first_call_read_too_much_of_stays_where_it_was() {
    a_first_call_reads_too_much(1).await;
}

#[tokio::test]
async fn so_it_does_if_neighbours_stand_in_different_blocks() {
    a_first_call_reads_too_much(5).await;
}

#[tokio::test]
async fn what_becomes_of_few_of_them_fits_a_step() {
    let server = Server::start();
    let client = server.client().await;
    open(&client).await;
    enqueue(&client, 16, &large("acme")).await;
    let claims = take(&client, 1, 16, Vec::new()).await.1.read().unwrap().records;
    assert_eq!(claims.len(), 16);
    let release = claims.iter().map(|record| Settling::release(record.id, record.epoch, NAME)).collect();
    let verdicts = take(&client, 2, 0, release).await.1.verdicts;
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Applied).count(), 1);
    let running = async || client.queue(&job().queue).await.unwrap().running;
    assert_eq!(running().await, 15);
    let close = script::without_time(&script::CLOSE);
    // The first step looks at the one that was released, too.
    for left in [14, 12] {
        client.link().call(&close, 0, &vec![NAME.to_vec()]).await.unwrap();
        assert_eq!(running().await, left);
    }
}

#[tokio::test]
async fn dead_ones_are_archived_by_several_calls() {
    let server = Server::start();
    let client = server.client().await;
    open(&client).await;
    enqueue(&client, 16, &large("acme")).await;
    let claims = take(&client, 1, 16, Vec::new()).await.1.read().unwrap().records;
    for (sequence, record) in (2..).zip(&claims) {
        let dead = vec![Settling::bury(record.id, record.epoch, NAME, String::new())];
        assert_eq!(take(&client, sequence, 0, dead).await.1.verdicts, [Verdict::Applied]);
    }
    let letters: Vec<_> =
        client.dead(0, 256).await.unwrap().iter().map(|letter| (letter.record.id, letter.death_number)).collect();
    assert_eq!(letters.len(), 16);
    let redis = client.link().at(0).unwrap();
    let _: redis::Value = redis.command(redis::cmd("CONFIG").arg("RESETSTAT")).await.unwrap();
    client.dead_archived(&letters).await.unwrap();
    let told: redis::Value = redis.command(redis::cmd("INFO").arg("commandstats")).await.unwrap();
    let told = String::from_utf8(wire::bytes(told).unwrap()).unwrap();
    assert!(told.contains("cmdstat_zmscore:calls=4,"), "a MiB a call: {told}");
    assert!(client.dead(0, 256).await.unwrap().is_empty());
}

#[tokio::test]
async fn large_ones_become_due_in_several_steps() {
    let server = Server::start();
    server.stand_still("2027-01-01 00:00:00");
    let client = server.client().await;
    let at = "2027-01-01T00:01:00Z".parse().unwrap();
    enqueue(&client, 24, &NewJob { run_at: Some(at), ..large("acme") }).await; // fewer than a step looks at
    server.stand_still("2027-01-01 00:01:01");
    let tick = script::without_time(&script::TICK);
    for left in [16, 8, 0] {
        let args = vec![b"3600000".to_vec(), b"80".to_vec()];
        let told = wire::list(client.link().call(&tick, 0, &args).await.unwrap()).unwrap();
        let [promoted, more] = [0, 4].map(|place| wire::integer(&told[place]).unwrap());
        assert_eq!((promoted, more), (8, i64::from(left > 0)), "{left} are left");
        let stats = client.queue(&job().queue).await.unwrap();
        assert_eq!((stats.available, stats.scheduled), (24 - left, left));
    }
}

#[tokio::test]
async fn large_ones_are_cancelled_with_their_lane_and_removed_in_several_steps() {
    let server = Server::start();
    server.stand_still("2027-01-01 00:00:00");
    let client = server.client().await;
    let keep = std::time::Duration::from_secs(60);
    enqueue(&client, 16, &NewJob { keep, ..large("acme") }).await;
    client.cancel_lane(&Tenant::parse("acme").unwrap(), &job().queue, &Lane::default()).await.unwrap();
    let tick = script::without_time(&script::TICK);
    let step = async || {
        let args = vec![b"3600000".to_vec(), b"80".to_vec()];
        client.link().call(&tick, 0, &args).await.unwrap();
        let stats = client.queue(&job().queue).await.unwrap();
        let mut count = redis::cmd("EVAL");
        count.arg(RECORDS).arg(0);
        let records: u64 =
            redis::from_redis_value(client.link().at(0).unwrap().command(&count).await.unwrap()).unwrap();
        (stats.available, records)
    };
    // Half a MiB a step, and the one that makes it full.
    for left in [14, 12, 10, 8, 6, 4, 2, 0] {
        assert_eq!(step().await, (left, 16));
    }
    server.stand_still("2027-01-01 00:01:01");
    for left in [14, 12, 10, 8, 6, 4, 2, 0] {
        assert_eq!(step().await, (0, left));
    }
}
