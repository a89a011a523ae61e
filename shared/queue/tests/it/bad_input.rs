//! What callers hand over by mistake or on purpose: it is refused with the name of what is wrong, before anything is sent, or
//! it is taken as it is and harms nobody.

use std::sync::Arc;

use chrono::Datelike as _;
use postrider_queue::{
    CapSpec, JobKind, JobState, Lane, LaneName, ListFilter, NewJob, QueueBackend, QueueName, ScopeKey, ScopeLimits,
    Tenant, Window,
};

use crate::server::{PATIENCE, Server, WORK, config, done, job, tenant, until_parked, until_state, work};

const ODD: [&str; 6] = ["braces:{pr:0}{}}{", "quotes'\"`$;--", "🦀🧵", "é\u{301}\u{202e}txet", "..%2f..\\n", "*?[a-z]"];

#[tokio::test]
async fn names_with_spaces_are_refused_by_name() {
    for text in ["", "a b", "tab\there", "line\nbreak", "nul\0", "no\u{a0}break", &"x".repeat(201)] {
        for (what, refused) in [
            ("lane name", LaneName::parse(text).map(drop)),
            ("scope key", ScopeKey::parse(text).map(drop)),
            ("tenant", Tenant::parse(text).map(drop)),
            ("queue name", QueueName::parse(text).map(drop)),
            ("job kind", JobKind::parse(text).map(drop)),
        ] {
            let refused = refused.unwrap_err();
            assert!(refused.to_string().starts_with(what) && !refused.is_transient(), "{text:?}: {refused}");
        }
    }
    for text in ["a b", "braces{}", "🦀", "Upper", &"x".repeat(10_000)] {
        let refused = QueueName::parse(text).unwrap_err().to_string();
        assert!(refused.len() < 300, "the text is not repeated at length: {refused}");
        assert!(JobKind::parse(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn odd_names_of_tenants_lanes_scopes_and_keys_stay_apart() {
    let server = Server::start().await;
    let client = server.client_with(4).await;
    let worker = work(&client, config(4), |claimed| async move {
        assert_eq!(claimed.lane.name.as_str().as_bytes(), claimed.payload);
        done()
    });
    let mut ids = Vec::new();
    // A colon ends a tenant's name in the names of keys.
    let of = |name: &str| name.replace(':', ";");
    for name in ODD {
        let scope = ScopeKey::parse(name).unwrap();
        client.define_scope(&tenant(&of(name)), &scope, &ScopeLimits::default()).await.unwrap();
        let lane = Lane::with_scopes(LaneName::parse(name).unwrap(), vec![scope]);
        let odd = NewJob { payload: name.into(), ..job(&of(name)).lane(lane).unique_key(name) };
        ids.push((name, client.enqueue(odd).await.unwrap().id()));
    }
    for (name, id) in ids {
        let record = until_state(&client, id, JobState::Completed).await;
        assert_eq!((record.tenant.as_str(), record.lane.name.as_str()), (of(name).as_str(), name));
        let listed = client.list(&tenant(&of(name)), &ListFilter::default(), None, 10).await.unwrap();
        assert_eq!(listed.items.iter().map(|record| record.id).collect::<Vec<_>>(), [id], "{name}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn payloads_are_kept_to_the_byte_or_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    for text in ["", " ", "no json", "{\"half\":", "\u{0}\u{1}\r\n$-1\r\n", "null", "🦀"] {
        let id = client.enqueue(NewJob { payload: text.into(), ..job("acme") }).await.unwrap().id();
        assert_eq!(client.get(id).await.unwrap().unwrap().payload, text.as_bytes());
    }
    let refused = client.enqueue(NewJob { payload: vec![0xff, 0xfe], ..job("acme") }).await.unwrap_err();
    assert!(refused.to_string().starts_with("payload: ") && !refused.is_transient(), "{refused}");
    let large = NewJob { payload: vec![b'x'; 256 * 1024 + 1], ..job("acme") };
    let refused = client.enqueue(large).await.unwrap_err().to_string();
    assert_eq!(refused, "payload: 262145 bytes, at most 262144 are allowed");
    let long = client.enqueue(job("acme").unique_key("k".repeat(10_000))).await.unwrap_err().to_string();
    assert!(long.starts_with("unique key: expected 1 to "), "{long}");
    assert_eq!(client.queue(&WORK).await.unwrap().available, 7);
}

#[tokio::test]
async fn caps_of_nothing_and_of_everything_are_what_they_say() {
    let server = Server::start().await;
    let client = server.client().await;
    let window = Window {
        starts_at: "1970-01-01T00:00:00Z".parse().unwrap(),
        ends_at: "9999-12-31T00:00:00Z".parse().unwrap(),
        used_before: 0,
    };
    let jobs = |name: &str, limit: u64, window: Window| {
        let scope = ScopeKey::parse(name).unwrap();
        let limits = ScopeLimits::caps(vec![CapSpec::calendar(limit, vec![window])]);
        let lane = Lane::with_scopes(LaneName::parse(name).unwrap(), vec![scope.clone()]);
        (scope, limits, job("acme").lane(lane))
    };
    for (name, limit) in [("none", 0), ("all", 1 << 63), ("more", u64::MAX)] {
        let (scope, limits, job) = jobs(name, limit, window);
        client.define_scope(&tenant("acme"), &scope, &limits).await.unwrap();
        let id = client.enqueue(job).await.unwrap().id();
        let worker = work(&client, config(4), |_| async { done() });
        if limit == 0 {
            until_parked(&client).await;
            assert_eq!(client.get(id).await.unwrap().unwrap().attempt, 0);
        } else {
            until_state(&client, id, JobState::Completed).await;
            let state = client.scope(&tenant("acme"), &scope).await.unwrap().unwrap();
            assert_eq!(state.caps[0].used, 1);
        }
        worker.stop().await;
    }
    let never = |starts_at: &str, ends_at: &str| Window {
        starts_at: starts_at.parse().unwrap(),
        ends_at: ends_at.parse().unwrap(),
        used_before: 0,
    };
    for window in [
        never("0001-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        never("2030-01-01T00:00:00Z", "+10000-01-01T00:00:00Z"),
        never("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
    ] {
        let (scope, limits, _) = jobs("dates", 1, window);
        let refused = client.define_scope(&tenant("acme"), &scope, &limits).await.unwrap_err();
        assert!(refused.to_string().starts_with("cap: a window ") && !refused.is_transient(), "{refused}");
    }
}

#[tokio::test]
async fn any_date_is_a_time_to_run_at() {
    let server = Server::start().await;
    let client = server.client().await;
    let at = |text: &str| job("acme").run_at(text.parse().unwrap());
    let mut past = Vec::new();
    for text in ["0001-01-01T00:00:00Z", "-9999-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z"] {
        past.push(client.enqueue(at(text)).await.unwrap().id());
    }
    let far = client.enqueue(at("9999-12-31T23:59:59.999Z")).await.unwrap().id();
    let worker = work(&client, config(4), |_| async { done() });
    for id in past {
        until_state(&client, id, JobState::Completed).await;
    }
    let record = client.get(far).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Scheduled);
    assert_eq!(record.run_at.to_rfc3339(), "9999-12-31T23:59:59.999+00:00");
    // Further than 48 bits of milliseconds: as far as they reach.
    let beyond = client.enqueue(job("acme").run_at(chrono::DateTime::<chrono::Utc>::MAX_UTC)).await.unwrap().id();
    let record = client.get(beyond).await.unwrap().unwrap();
    assert_eq!((record.state, record.run_at.year()), (JobState::Scheduled, 10_889));
    worker.stop().await;
}

#[tokio::test]
async fn a_kind_that_nobody_knows_is_named_in_the_record() {
    let server = Server::start().await;
    let client = server.client().await;
    let backend = QueueBackend::new(&client, config(4), Arc::new(|_: &str| None));
    let odd = NewJob { kind: JobKind::new("from.the_future"), ..job("acme") };
    let id = client.enqueue(odd).await.unwrap().id();
    let record = until_state(&client, id, JobState::Scheduled).await;
    assert!(record.error.unwrap().contains("from.the_future"));
    backend.handle().close(PATIENCE).await.unwrap();
}
