//! Following a job: a wait for its end, and the stream of its events; both end with the right to see it.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use postrider_shared::clock::Clock;
use postrider_shared::config::Registration;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::{Api, answer, problem};
use crate::jobs::submit;
use crate::wait::DEADLINE;

#[tokio::test]
async fn a_wait_ends_with_the_job() {
    let api = Api::start().await;
    let keys = api.tenant("Patient").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo" })).await;
    let started = Instant::now();
    let job = answer(api.get(&keys.viewer, &format!("/v1/jobs/{id}?wait=100ms")), StatusCode::OK).await;
    assert_eq!(job["state"], "available");
    assert!(started.elapsed() >= Duration::from_millis(100));

    let path = format!("/v1/jobs/{id}?wait=60s");
    let waiting = answer(api.get(&keys.viewer, &path), StatusCode::OK);
    let cancelling = async {
        let path = format!("/v1/jobs/{id}/cancel");
        answer(api.request(Method::POST, &path).bearer_auth(&keys.agent), StatusCode::OK).await
    };
    let started = Instant::now();
    let (job, _) = tokio::join!(waiting, cancelling);
    assert_eq!(job["state"], "cancelled");
    assert!(started.elapsed() < Duration::from_secs(50), "it ended with the job, and not with its time");
    for wrong in ["61s", "-1s", "soon"] {
        problem(api.get(&keys.viewer, &format!("/v1/jobs/{id}?wait={wrong}")), "invalid-query").await;
    }
}

#[tokio::test]
async fn events_follow_a_job_to_its_end() {
    let api = Api::start().await;
    let keys = api.tenant("Followers").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo", "run_at": "2999-01-01T00:00:00Z" })).await;
    let response = api.get(&keys.viewer, &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.bytes_stream();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.starts_with("event: job\nid: ") && text.contains("\ndata: {"), "{text}");
    assert!(text.contains("\"scheduled\""), "{text}");
    let path = format!("/v1/jobs/{id}/cancel");
    answer(api.request(Method::POST, &path).bearer_auth(&keys.agent), StatusCode::OK).await;
    let rest = tokio::time::timeout(DEADLINE, events.collect::<Vec<_>>()).await;
    let rest: String = rest
        .expect("the stream ends")
        .into_iter()
        .map(|part| String::from_utf8(part.unwrap().to_vec()).unwrap())
        .collect();
    assert!(rest.contains("\"cancelled\""), "{rest}");
}

#[tokio::test]
async fn a_stop_ends_waits_and_streams() {
    let api = Api::start().await;
    let keys = api.tenant("Stopped").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo" })).await;
    let response = api.get(&keys.viewer, &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    let waiting_path = format!("/v1/jobs/{id}?wait=60s");
    let waiting = answer(api.get(&keys.viewer, &waiting_path), StatusCode::OK);
    let stop = async {
        tokio::task::yield_now().await;
        api.app.stopping().cancel();
    };
    let all = async { tokio::join!(waiting, response.text(), stop) };
    let (job, events, ()) = tokio::time::timeout(DEADLINE, all).await.expect("nobody waits on");
    assert_eq!(job["state"], "available");
    let events = events.unwrap();
    assert!(events.contains("\"available\"") && events.contains("event: stopping\n"), "{events}");
    let ready = api.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// The events of a stream until it ends, as (event, id).
async fn events_of(response: reqwest::Response) -> Vec<(String, String)> {
    let text = tokio::time::timeout(DEADLINE, response.text()).await.expect("the stream ends").unwrap();
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    text.split_terminator("\n\n").map(|event| (field(event, "event:"), field(event, "id:"))).collect()
}

#[tokio::test]
async fn a_reader_goes_on_after_the_event_it_saw_last() {
    let api = Api::start().await;
    let keys = api.tenant("Resumed").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo" })).await;
    let path = format!("/v1/jobs/{id}/events");
    let follow = |last: &str| api.get(&keys.viewer, &path).header("Last-Event-ID", last).send();
    let mut first = api.get(&keys.viewer, &path).send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&first.next().await.unwrap().unwrap()).unwrap());
    }
    drop(first);
    let seen = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();

    // One reader knows the job as it is, one knows something else; then the job ends.
    let (knows, knows_not) = (follow(seen).await.unwrap(), follow("something else").await.unwrap());
    let cancel = format!("/v1/jobs/{id}/cancel");
    answer(api.request(Method::POST, &cancel).bearer_auth(&keys.agent), StatusCode::OK).await;
    let (knows, knows_not) = (events_of(knows).await, events_of(knows_not).await);
    assert_eq!((knows.len(), knows_not.len()), (1, 2), "{knows:?} {knows_not:?}");
    assert_eq!(knows_not[0], ("job".to_owned(), seen.to_owned()));
    assert_eq!(knows[0], knows_not[1]);
    // Whoever saw the end is told that nothing follows; whoever did not sees it.
    assert_eq!(follow(&knows[0].1).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(events_of(follow(seen).await.unwrap()).await, knows);
}

/// Opens a stream, and waits for its first event.
async fn stream(
    api: &Api,
    key: &str,
    id: &str,
) -> impl futures::Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin + use<> {
    let response = api.get(key, &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut events = Box::pin(response.bytes_stream());
    events.next().await.unwrap().unwrap();
    events
}

#[tokio::test]
async fn who_may_no_longer_see_a_job_is_no_longer_told() {
    let api = Api::start().await;
    let (revoked, suspended, steady) =
        (api.tenant("Revoked").await, api.tenant("Suspended").await, api.tenant("Steady").await);
    let far = json!({ "kind": "diagnostic.echo", "run_at": "2999-01-01T00:00:00Z" });
    let mut readers = Vec::new();
    for keys in [&revoked, &suspended, &steady] {
        let id = submit(&api, keys, &far).await;
        let mut waiting = tokio::task::JoinSet::new();
        waiting.spawn(api.get(&keys.viewer, &format!("/v1/jobs/{id}?wait=60s")).send());
        readers.push((stream(&api, &keys.viewer, &id).await, waiting));
    }
    let listed = answer(api.get(&revoked.admin, "/v1/api-keys"), StatusCode::OK).await;
    let viewer = listed["items"].as_array().unwrap().iter().find(|key| key["name"] == "viewer").unwrap();
    let path = format!("/v1/api-keys/{}", viewer["id"].as_str().unwrap());
    answer(api.request(Method::DELETE, &path).bearer_auth(&revoked.admin), StatusCode::OK).await;
    let path = format!("/v1/tenants/{}/suspend", suspended.id);
    answer(api.request(Method::POST, &path).bearer_auth(&api.platform_key), StatusCode::OK).await;

    let mut readers = readers.into_iter();
    for slug in ["unauthenticated", "tenant-inactive"] {
        let (events, mut waiting) = readers.next().unwrap();
        let ended = async {
            let rest =
                events.map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap()).collect::<String>().await;
            assert!(!rest.contains("stopping"), "nobody shall come back: {rest}");
            crate::api::shaped(waiting.join_next().await.unwrap().unwrap().unwrap(), slug).await;
        };
        tokio::time::timeout(DEADLINE, ended).await.expect("it ends in time");
    }
    // The others go on: theirs were asked about at the same moments.
    let (mut events, mut waiting) = readers.next().unwrap();
    while let Ok(piece) = tokio::time::timeout(Duration::from_millis(300), events.next()).await {
        let piece = piece.expect("the stream goes on").unwrap();
        assert!(piece.starts_with(b":"), "a heartbeat and no more: {piece:?}");
    }
    assert!(waiting.try_join_next().is_none());
}

#[tokio::test]
async fn people_and_keys_whose_right_ends_are_no_longer_told() {
    let clock = Clock::manual(Clock::system().now());
    let api = Api::start_at(&clock, Registration::Open, &[]).await;
    let far = json!({ "kind": "diagnostic.echo", "run_at": "2999-01-01T00:00:00Z" });
    let (keys, other) = (api.tenant("Watched").await, api.tenant("Suspended").await);
    let (job, theirs) = (submit(&api, &keys, &far).await, submit(&api, &other, &far).await);
    let mut readers = Vec::new();
    for (address, keys) in [("out@example.com", &keys), ("gone@example.com", &keys), ("there@example.com", &other)] {
        crate::identity::member(&api, keys, address, "viewer").await;
        readers.push(crate::identity::login(&api, address).await);
    }
    let token = |reader: usize| crate::identity::text(&readers[reader], "access_token").to_owned();
    let short = json!({ "name": "short", "role": "viewer" });
    let short = answer(api.post(&keys.admin, "/v1/api-keys", &short), StatusCode::CREATED).await;
    let mut streams = Vec::new();
    for (key, job) in [(token(0), &job), (token(1), &job), (token(2), &theirs)] {
        streams.push(stream(&api, &key, job).await);
    }
    streams.push(stream(&api, short["key"].as_str().unwrap(), &job).await);

    answer(api.post(&token(0), "/v1/auth/logout", &json!({})), StatusCode::NO_CONTENT).await;
    let path = format!("/v1/users/{}", readers[1]["user_id"].as_str().unwrap());
    answer(api.request(Method::DELETE, &path).bearer_auth(&keys.admin), StatusCode::NO_CONTENT).await;
    let path = format!("/v1/tenants/{}/suspend", other.id);
    answer(api.request(Method::POST, &path).bearer_auth(&api.platform_key), StatusCode::OK).await;
    let path = format!("/v1/api-keys/{}", short["id"].as_str().unwrap());
    let soon = json!({ "expires_at": clock.now() + Duration::from_secs(1) });
    answer(api.request(Method::PATCH, &path).bearer_auth(&keys.admin).json(&soon), StatusCode::OK).await;
    clock.advance(Duration::from_secs(1));
    for (who, events) in ["signed out", "removed", "suspended", "a key that expired"].into_iter().zip(streams) {
        let ended = tokio::time::timeout(DEADLINE, events.count()).await;
        assert!(ended.is_ok(), "{who}: it ends in time");
    }
}
