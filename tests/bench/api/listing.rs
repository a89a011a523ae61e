//! Pages of `GET /v1/jobs` of a tenant that has a million jobs.

use std::time::{Duration, Instant};

use postrider_queue::{QueueClient, QueueConfig};
use postrider_tests::Report;

use super::load::{Connection, quantile};
use super::submit::address;
use super::waiters::enqueue;
use super::{Options, platform};

const ASKED_MS: f64 = 100.0;
/// How often each page is asked for.
const TIMES: usize = 100;

/// Pages, by what they are asked for; the last ones find nothing, which is the most work.
const PAGES: [(&str, &str); 6] = [
    ("first", "?limit=50"),
    ("large", "?limit=200"),
    ("by_kind", "?kind=diagnostic.echo&limit=50"),
    ("by_state", "?state=scheduled&limit=50"),
    ("by_state_none", "?state=completed&limit=50"),
    ("by_queue_none", "?queue=email&limit=50"),
];

pub async fn measure(options: &Options, appendfsync: Option<&str>, report: &mut Report) {
    let platform = platform(appendfsync).await;
    let tenant = platform.tenant("bench").await;
    let key = platform.key(&tenant, "viewer").await.key().expect("a key").to_owned();
    let queue = QueueClient::connect(QueueConfig::new(platform.redis().url())).await.expect("connect to the queue");
    let ids = enqueue(&platform, &queue, options.jobs).await;
    report.figure("listed_jobs", ids.len());
    let mut connection = Connection::open(address(&platform)).await;
    let mut ask = async |query: &str| {
        let request = format!("GET /v1/jobs{query} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n");
        let asked = Instant::now();
        connection.send(request.as_bytes()).await;
        let (status, body) = connection.answer().await;
        let took = asked.elapsed();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        (took, serde_json::from_slice::<serde_json::Value>(&body).expect("a page"))
    };
    let mut slowest: f64 = 0.0;
    let mut note = |name: &str, took: &[Duration], report: &mut Report| {
        slowest = slowest.max(quantile(took, 99));
        report.decimal(&format!("page_{name}_p50_ms"), quantile(took, 50));
        report.decimal(&format!("page_{name}_p99_ms"), quantile(took, 99));
    };
    for (name, query) in PAGES {
        let mut took = Vec::new();
        for _ in 0..TIMES {
            took.push(ask(query).await.0);
        }
        note(name, &took, report);
    }
    // On and on by cursor.
    let (mut took, mut query) = (Vec::new(), "?limit=200".to_owned());
    while took.len() < TIMES {
        let (time, page) = ask(&query).await;
        took.push(time);
        let Some(next) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=200&cursor={next}");
    }
    note("by_cursor", &took, report);
    platform.abandon("its jobs wait for their time");
    report.figure("pages_by_cursor", took.len()).must("a page takes at most 100 ms (p99)", slowest <= ASKED_MS);
}
