//! What the API says while something it needs is away. It never hangs.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};
use crate::wait::until;

fn named<'a>(readiness: &'a Value, name: &str) -> &'a Value {
    readiness["dependencies"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()
}

#[tokio::test]
async fn without_redis_jobs_are_refused_at_once_and_taken_again_when_it_is_back() {
    let mut api = Api::start().await;
    let keys = api.tenant("Outage").await;
    answer(api.request(Method::GET, "/readyz"), StatusCode::OK).await;
    api.redis.kill();

    let echo = json!({ "kind": "diagnostic.echo" });
    let started = Instant::now();
    problem(api.post(&keys.agent, "/v1/jobs", &echo), "queue-unavailable").await;
    assert!(started.elapsed() < Duration::from_secs(5), "refused only after {:?}", started.elapsed());
    problem(api.post(&keys.agent, "/v1/jobs/batch", &json!([echo])), "queue-unavailable").await;
    problem(api.get(&keys.agent, "/v1/jobs"), "queue-unavailable").await;
    // The queue client tries for some seconds, because most outages are restarts.
    assert!(started.elapsed() < Duration::from_secs(30), "three answers took {:?}", started.elapsed());
    let readiness = answer(api.request(Method::GET, "/readyz"), StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(named(&readiness, "redis")["ready"], false);
    assert_eq!(named(&readiness, "database")["ready"], true);
    answer(api.request(Method::GET, "/healthz"), StatusCode::OK).await;

    // What lives in the database goes on.
    answer(api.post(&keys.admin, "/v1/products", &crate::resources::window()), StatusCode::CREATED).await;
    let account = crate::resources::mailbox("a@example.com");
    answer(api.post(&keys.admin, "/v1/accounts", &account), StatusCode::CREATED).await;

    api.redis.restart().await;
    until("jobs are taken again", async || {
        let response = api.post(&keys.agent, "/v1/jobs", &echo).send().await.unwrap();
        (response.status() == StatusCode::ACCEPTED).then_some(())
    })
    .await;
    answer(api.request(Method::GET, "/readyz"), StatusCode::OK).await;
}

#[tokio::test]
async fn a_full_redis_takes_no_new_jobs_and_says_so() {
    let api = Api::start().await;
    let keys = api.tenant("Full").await;
    let echo = json!({ "kind": "diagnostic.echo" });
    let id = answer(api.post(&keys.agent, "/v1/jobs", &echo), StatusCode::ACCEPTED).await["id"].clone();
    api.redis.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let refused = problem(api.post(&keys.agent, "/v1/jobs", &echo), "queue-full").await;
    assert_eq!(refused["status"], 503);
    // Reading still works.
    answer(api.get(&keys.agent, &format!("/v1/jobs/{}", id.as_str().unwrap())), StatusCode::OK).await;
    api.redis.command(&["CONFIG", "SET", "maxmemory", "256mb"]);
    answer(api.post(&keys.agent, "/v1/jobs", &echo), StatusCode::ACCEPTED).await;
}

#[tokio::test]
async fn however_many_ask_whether_it_is_ready_the_dependencies_are_asked_one_time_after_another() {
    let api = Api::start().await;
    let pings = || {
        let stats = api.redis.command(&["INFO", "commandstats"]);
        let of_ping = stats.lines().find_map(|line| line.strip_prefix("cmdstat_ping:calls="));
        of_ping.map_or(0, |rest| rest.split(',').next().unwrap().parse::<u32>().unwrap())
    };
    answer(api.request(Method::GET, "/readyz"), StatusCode::OK).await;
    let before = pings();
    // While Redis says nothing, all of them come.
    api.redis.command(&["CLIENT", "PAUSE", "1000"]);
    let many = (0..200).map(|_| answer(api.request(Method::GET, "/readyz"), StatusCode::OK));
    futures::future::join_all(many).await;
    let asked = pings() - before;
    assert!((1..=20).contains(&asked), "{asked} times");
}
