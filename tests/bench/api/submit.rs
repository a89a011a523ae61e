//! `POST /v1/jobs`: key check, validation, a durable enqueue; with an idempotency key and without; in rotation with the engine's
//! own enqueue of as many jobs with as many in flight.

use std::net::SocketAddr;

use postrider_tests::{Platform, Report};

use super::load::{Found, send_all};
use super::{Options, platform, process};
use crate::contestant::Contestant;
use crate::enqueue::{self, Way};

/// Of the engine's own rate.
const ASKED: f64 = 0.5;
/// As long as a parcel of the other scenarios.
const PAYLOAD_BYTES: usize = 200;

/// The status of an answer, and what must stand in it.
const ACCEPTED: (u16, &[u8]) = (202, b"\"id\":\"job_");

/// One way of submitting, and what it was found to take.
#[derive(Default)]
struct Figures {
    per_second: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    api_cpu_us: Vec<f64>,
    client_cpu_us: Vec<f64>,
}

pub async fn measure(options: &Options, appendfsync: Option<&str>, report: &mut Report) {
    let platform = platform(appendfsync).await;
    let tenant = platform.tenant("bench").await;
    let key = platform.key(&tenant, "agent").await.key().expect("a key").to_owned();
    // The first requests meet cold caches and scripts that Redis does not know.
    submit(&platform, options, &key, None, 2_000).await;
    let (mut plain, mut keyed, mut engine) = (Figures::default(), Figures::default(), Vec::new());
    for round in 0..options.rounds {
        let jobs = usize::try_from(options.requests).expect("few");
        let way = Way::Concurrent { in_flight: usize::try_from(options.connections).expect("few") };
        engine.push(enqueue::measure(Contestant::Engine, way, jobs, appendfsync).await);
        for (figures, keys) in [(&mut plain, None), (&mut keyed, Some(round))] {
            let pid = platform.api_process(0).pid().expect("the API runs");
            let before = process::cpu_seconds(pid);
            let found = submit(&platform, options, &key, keys, options.requests).await;
            let used = process::cpu_seconds(pid) - before;
            figures.per_second.push(found.per_second);
            figures.p50_ms.push(found.p50_ms);
            figures.p99_ms.push(found.p99_ms);
            figures.api_cpu_us.push(used * 1e6 / f64::from(options.requests));
            figures.client_cpu_us.push(found.client_cpu_us);
        }
    }
    platform.abandon("the benchmark's jobs wait for ever");
    let ratios = plain.per_second.iter().zip(&engine).map(|(api, engine)| api / engine).collect();
    let ratio = median(ratios);
    report
        .figure("connections", options.connections)
        .figure("requests", options.requests)
        .decimal("engine_enqueue_concurrent_per_s", median(engine));
    for (name, figures) in [("submit", plain), ("submit_with_key", keyed)] {
        report
            .decimal(&format!("{name}_per_s"), median(figures.per_second))
            .decimal(&format!("{name}_p50_ms"), median(figures.p50_ms))
            .decimal(&format!("{name}_p99_ms"), median(figures.p99_ms))
            .decimal(&format!("{name}_api_cpu_us"), median(figures.api_cpu_us))
            .decimal(&format!("{name}_client_cpu_us"), median(figures.client_cpu_us));
    }
    report
        .decimal("submit_against_engine", ratio)
        .must("POST /v1/jobs reaches half of the engine's own rate", ratio >= ASKED);
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Submits; with an idempotency key of its own for each request if `keys` numbers the round.
async fn submit(platform: &Platform, options: &Options, key: &str, keys: Option<usize>, requests: u32) -> Found {
    let address = address(platform);
    let body = format!(r#"{{"kind":"diagnostic.echo","payload":{{"data":"{}"}}}}"#, "x".repeat(PAYLOAD_BYTES - 11));
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n",
        body.len()
    );
    let connections = options.connections;
    let write = move |number: u32, request: &mut Vec<u8>| {
        request.extend_from_slice(head.as_bytes());
        if let Some(round) = keys {
            request.extend_from_slice(format!("Idempotency-Key: {round}-{number}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body.as_bytes());
    };
    let sending = tokio::task::spawn_blocking(move || send_all(address, connections, requests, ACCEPTED, write));
    sending.await.expect("the requests are sent")
}

pub fn address(platform: &Platform) -> SocketAddr {
    let address = platform.api_addresses()[0].strip_prefix("http://").expect("a URL");
    address.parse().expect("an address")
}
