//! A turn on an idle queue takes a shorter way through its script; it must answer and leave what the long way does.

use std::{collections::BTreeMap, time::Duration};

use redis::{FromRedisValue, Value};

use super::{Args, Turn, args};
use crate::{
    client::QueueClient,
    id::JobId,
    job::{Links, NewJob, UniqueFor},
    lane::Lane,
    leaping::Server,
    name::{JobKind, LaneName, QueueName, ScopeKey, Tenant},
    priority::Priority,
    script,
};

mod precedence;

const WORK: QueueName = QueueName::new("work");
const MORE: QueueName = QueueName::new("more");
const TOKEN: [u8; 8] = *b"a worker";
const WORKER: &str = "0123456789abcdef";
const SHORT: &str = include_str!("../../../lua/lib/lone_claim.lua");

fn acme() -> Tenant {
    Tenant::parse("acme").unwrap()
}

/// Its id follows from the number, so that it is the same both times.
fn job(number: u8) -> NewJob {
    NewJob {
        tenant: acme(),
        id: Some(JobId::from_tail(0, &[number; 14]).unwrap()),
        kind: JobKind::new("echo"),
        queue: WORK,
        lane: Lane::default(),
        priority: Priority::Normal,
        payload: b"{}".to_vec(),
        run_at: None,
        max_attempts: 3,
        keep: Duration::from_hours(1),
        unique_key: None,
        unique_for: UniqueFor::default(),
        idempotency_key: None,
        links: Links::default(),
        recipient: None,
    }
}

fn turn(sequence: u64, want: usize, queues: &[QueueName], worker: &str) -> Args {
    args(&mut Turn { shard: 0, token: TOKEN, sequence, want, outcomes: Vec::new() }, queues, worker)
}

async fn ask<T: FromRedisValue>(client: &QueueClient, command: &str, args: &[&[u8]]) -> T {
    client.link().at(0).unwrap().command(redis::cmd(command).arg(args)).await.unwrap()
}

/// All keys with what they hold and when they expire, the fields of hashes in order.
async fn content(client: &QueueClient) -> BTreeMap<String, (i64, Vec<Vec<u8>>)> {
    let mut content = BTreeMap::new();
    for key in ask::<Vec<String>>(client, "KEYS", &[b"{pr:0}*"]).await {
        let name = key.as_bytes();
        let held: Vec<Vec<u8>> = match ask::<String>(client, "TYPE", &[name]).await.as_str() {
            "list" => ask(client, "LRANGE", &[name, b"0", b"-1"]).await,
            "zset" => ask(client, "ZRANGE", &[name, b"0", b"-1", b"WITHSCORES"]).await,
            "set" => ask(client, "SMEMBERS", &[name]).await,
            "hash" => {
                let mut fields: BTreeMap<Vec<u8>, Vec<u8>> = ask(client, "HGETALL", &[name]).await;
                fields.retain(|field, _| field != b"replid" && field != b"caps"); // noted by any process at any time
                fields.into_iter().flat_map(<[_; 2]>::from).collect()
            }
            "string" => vec![ask(client, "GET", &[name]).await],
            other => panic!("{key} is a {other}"),
        };
        if !held.is_empty() {
            let expires = ask(client, "PEXPIRETIME", &[name]).await;
            content.insert(key, (expires, held));
        }
    }
    content
}

/// What was answered to the last turn, what is there then, and whether the library was defined for it.
async fn carried_out(text: &str, client: &QueueClient, case: &Case) -> (Value, impl PartialEq + std::fmt::Debug, bool) {
    let _: Value = ask(client, "FLUSHALL", &[]).await;
    let opened = vec![TOKEN.to_vec(), b"6000".to_vec(), b"1".to_vec()];
    client.link().call(&script::RENEW, 0, &opened).await.unwrap();
    case.prepare(client).await;
    let mut answer = Value::Nil;
    for args in &case.turns {
        let _: Value = ask(client, "CONFIG", &[b"RESETSTAT"]).await;
        let all: Vec<&[u8]> =
            [text.as_bytes(), b"1", b"{pr:0}:1:jobs"].into_iter().chain(args.iter().map(Vec::as_slice)).collect();
        answer = ask(client, "EVAL", &all).await;
    }
    let statistics: String = ask(client, "INFO", &[b"commandstats"]).await;
    let long = !statistics.contains("cmdstat_time:calls=1,");
    (answer, content(client).await, long)
}

/// What happens between the enqueue and the turn.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    Cancelled,
    Paused,
    TenantPaused,
    OthersPaused,
    Weighed,
    StandsFirst,
    ShardLeaves,
    SessionForgotten,
}

struct Case {
    name: &'static str,
    short: bool,
    jobs: Vec<NewJob>,
    then: Then,
    turns: Vec<Args>,
}

impl Case {
    async fn prepare(&self, client: &QueueClient) {
        client.enqueue_many(self.jobs.clone()).await.unwrap();
        match self.then {
            Then::Nothing => {}
            Then::Cancelled => drop(client.cancel(job(1).id.unwrap()).await.unwrap()),
            Then::Paused => client.pause(&WORK).await.unwrap(),
            Then::TenantPaused => client.pause_tenant(&acme()).await.unwrap(),
            Then::OthersPaused => {
                client.pause(&MORE).await.unwrap();
                client.pause_tenant(&Tenant::parse("else").unwrap()).await.unwrap();
            }
            Then::Weighed => client.weigh_tenant(&acme(), 3).await.unwrap(),
            Then::StandsFirst => {
                let number: String = ask(client, "LINDEX", &[b"{pr:0}:1:tenant:work:acme", b"0"]).await;
                let _: Value = ask(client, "HSET", &[b"{pr:0}:1:ahead", number.as_bytes(), b"1"]).await;
            }
            Then::ShardLeaves => {
                let _: Value = ask(client, "HSET", &[b"{pr:0}:1:gate", b"move", b"draining"]).await;
                let _: Value = ask(client, "SET", &[b"{pr:0}:1:mover", b"somebody"]).await;
            }
            Then::SessionForgotten => drop(ask::<Value>(client, "DEL", &[b"{pr:0}:1:sessions"]).await),
        }
    }
}

fn in_lane(name: &str, scopes: &[&str]) -> NewJob {
    let scopes = scopes.iter().map(|name| ScopeKey::parse(*name).unwrap()).collect();
    job(1).lane(Lane::with_scopes(LaneName::parse(name).unwrap(), scopes))
}

/// The ways that are short, and whatever keeps a turn from taking one.
fn cases() -> Vec<Case> {
    let usual = turn(7, 64, &[WORK, MORE], WORKER);
    let before = turn(6, 64, &[MORE], WORKER);
    let after = turn(8, 64, &[MORE], WORKER);
    let of_another = NewJob { tenant: Tenant::parse("else").unwrap(), ..job(2) };
    let low = job(2).priority(Priority::Low);
    let with = |short, name, jobs: &[NewJob]| Case {
        name,
        short,
        jobs: jobs.to_vec(),
        then: Then::Nothing,
        turns: vec![usual.clone()],
    };
    let by = |short, name, turns: &[&Args]| Case {
        turns: turns.iter().copied().cloned().collect(),
        ..with(short, name, &[job(1)])
    };
    let then = |name, then| Case { then, ..with(false, name, &[job(1)]) };
    vec![
        with(true, "nothing", &[]),
        with(true, "one job", &[job(1)]),
        with(true, "one job of a block", &[job(1).with_id(JobId::in_block(0, 7, 1, [1; 4]))]),
        with(true, "a lane of its own", &[in_lane("mine", &[])]),
        by(true, "one job for who wants one", &[&turn(7, 1, &[WORK], WORKER)]),
        by(true, "one job for who is not to be told", &[&turn(7, 2, &[WORK], "")]),
        by(true, "its queue comes last", &[&turn(7, 2, &[MORE, WORK], WORKER)]),
        by(true, "a second turn", &[&before, &usual]),
        with(false, "two jobs", &[job(1), job(2)]),
        with(false, "two lanes", &[in_lane("mine", &[]), job(2)]),
        with(false, "two tenants", &[job(1), of_another]),
        with(false, "two queues", &[job(1), job(2).queue(MORE)]),
        with(false, "high priority", &[job(1).priority(Priority::High)]),
        with(false, "low priority, too", &[job(1), low]),
        with(false, "scopes", &[in_lane("limited", &["one"])]),
        with(false, "a unique key", &[job(1).unique_key("only")]),
        by(false, "a repeat", &[&usual, &usual]),
        by(false, "one that is late", &[&after, &usual]),
        by(false, "nothing wanted", &[&turn(7, 0, &[WORK, MORE], "")]),
        then("cancelled", Then::Cancelled),
        then("paused", Then::Paused),
        then("a paused tenant", Then::TenantPaused),
        Case { short: true, ..then("others are paused", Then::OthersPaused) },
        then("a weight", Then::Weighed),
        then("a lane that stands first", Then::StandsFirst),
        then("a shard that leaves", Then::ShardLeaves),
        then("an unknown session", Then::SessionForgotten),
    ]
}

#[tokio::test]
async fn the_short_way_answers_and_leaves_what_the_long_way_does() {
    let server = Server::start();
    let client = server.client().await;
    let long = script::TURN.text.replace(SHORT, "");
    assert_ne!(long, script::TURN.text);
    server.stand_still("2026-01-01 00:00:00");
    for case in cases() {
        let (expected, left, _) = carried_out(&long, &client, &case).await;
        let (answer, found, long) = carried_out(&script::TURN.text, &client, &case).await;
        assert_eq!((answer, found), (expected, left), "{}", case.name);
        assert_eq!(long, !case.short, "{}: which way", case.name);
    }
}
