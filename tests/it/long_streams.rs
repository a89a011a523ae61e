//! Batches as streams: whatever their length, the API needs the same memory.

use std::time::Duration;

use futures::StreamExt as _;
use postrider_tests::{DatabaseKind, Platform};
use reqwest::Method;

/// What the allocator has in hand goes up and down by 20 MB; results of 540,000 lines would have 54 MB as text alone.
const MOST_KIB: u64 = 32 * 1024;

/// Sends so many lines in pieces, and counts the results.
async fn stream(platform: &Platform, api: &postrider_tests::Api, lines: usize) -> usize {
    let piece = |number: usize| {
        let lines = (number * 1_000..(number + 1) * 1_000).map(|line| match line % 10_000 {
            9_999 => "this line is broken\n".to_owned(),
            _ => format!("{{\"kind\":\"diagnostic.echo\",\"payload\":{{\"data\":{line}}}}}\n"),
        });
        Ok::<_, std::io::Error>(lines.collect::<String>())
    };
    let body = futures::stream::iter((0..lines / 1_000).map(piece));
    let response = api
        .request(Method::POST, "/v1/jobs/batch")
        .header("content-type", "application/x-ndjson")
        .timeout(Duration::from_secs(300))
        .body(reqwest::Body::wrap_stream(body))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 207, "{}", platform.api_process(0).log_tail(5));
    let (mut results, mut refused, mut rest) = (0, 0, String::new());
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        rest.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        let whole = rest.rfind('\n').map_or(0, |end| end + 1);
        for line in rest[..whole].lines() {
            assert!(line.starts_with(&format!("{{\"index\":{results},")), "{line}");
            results += 1;
            refused += usize::from(line.contains("\"status\":400"));
        }
        rest.drain(..whole);
    }
    assert_eq!((rest.as_str(), refused), ("", lines / 10_000));
    results
}

/// The most memory that the API ever had.
fn peak_kib(platform: &Platform) -> u64 {
    let pid = platform.api_process(0).pid().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[tokio::test]
async fn six_hundred_thousand_lines_need_no_more_memory_than_sixty_thousand() {
    let platform = Platform::with(DatabaseKind::Sqlite).workers(0).start().await;
    let api = platform.tenant("Importer").await;
    assert_eq!(stream(&platform, &api, 60_000).await, 60_000);
    let before = peak_kib(&platform);
    assert_eq!(stream(&platform, &api, 540_000).await, 540_000);
    let grown = peak_kib(&platform) - before;
    assert!(grown <= MOST_KIB, "the API's memory grew from {before} by {grown} KiB");
    platform.abandon("nobody works here");
}
