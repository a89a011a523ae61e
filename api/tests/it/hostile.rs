//! What an attacker puts where an id, a name, a cursor or a number belongs: every operation answers with a refusal in words, or finds
//! nothing, and no server error.

use futures::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::api::{Api, answer, wrong_member};

/// In place of a path parameter, as written in the URL.
const IDS: [&str; 16] = [
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e",
    "..%5c..%5cboot.ini",
    "%00",
    "a%00b",
    "%0d%0aSet-Cookie:%20evil=1",
    "%ff%fe",
    "%c0%af",
    "%",
    "%zz",
    "%25%32%66",
    "'%20OR%201=1--",
    "{pr:0}",
    "%F0%9F%A6%80",
    "-1",
    "00000000-0000-0000-0000-000000000000",
];

/// In place of a query parameter's value.
const VALUES: [&str; 14] = [
    "",
    "%00",
    "%0a",
    "%ff",
    "-1",
    "0",
    "1e9",
    "NaN",
    "18446744073709551616",
    "9223372036854775807",
    "..%2f..%2f",
    "'%20OR%201=1--",
    "eyJhIjoxfQ==",
    "%7B%22$gt%22:0%7D",
];

struct Operation {
    method: Method,
    path: String,
    queries: Vec<String>,
    statuses: Vec<u16>,
}

async fn operations(api: &Api) -> Vec<Operation> {
    let document = answer(api.request(Method::GET, "/openapi.json"), StatusCode::OK).await;
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let queries = parameters.iter().filter(|parameter| parameter["in"] == "query");
            found.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                queries: queries.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect(),
                statuses: operation["responses"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter_map(|key| key.parse().ok())
                    .collect(),
            });
        }
    }
    found
}

/// The path with this in place of its parameters.
fn with(path: &str, id: &str) -> String {
    let pieces = path.split('/').map(|piece| if piece.starts_with('{') { id } else { piece });
    pieces.collect::<Vec<_>>().join("/")
}

/// Sends it without a library that would tidy the URL up, and checks that there is an answer, and its form; what is wrong with it.
async fn wrong(api: &Api, key: &str, method: &Method, target: &str, statuses: &[u16]) -> Option<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(api.address).await.unwrap();
    let body = if *method == Method::GET { "" } else { "{}" };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8_lossy(&text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Some(format!("{method} {target}: no whole answer: {text:?}"));
    };
    let Some(status) = head.get(9..12).and_then(|digits| digits.parse::<StatusCode>().ok()) else {
        return Some(format!("{method} {target}: no status: {text:?}"));
    };
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let is_refusal = status.is_client_error() || status.is_server_error();
    let in_words = field("content-type: ") == "application/problem+json"
        && serde_json::from_str::<Value>(body)
            .is_ok_and(|problem| wrong_member(&problem, status, field("x-request-id: ")).is_none());
    // Whatever stands before the handlers may refuse any request.
    let is_known = statuses.contains(&status.as_u16()) || [400, 404, 405].contains(&status.as_u16());
    if status.is_server_error() || (is_refusal && !in_words) || !is_known || head.to_ascii_lowercase().contains("evil")
    {
        return Some(format!("{method} {target}: {text}"));
    }
    None
}

#[tokio::test]
async fn nothing_in_a_path_or_a_query_is_more_than_text() {
    let api = Api::start_with(&[
        ("RATE_LIMIT_ADDRESS", "off"),
        ("RATE_LIMIT_CALLER", "off"),
        ("RATE_LIMIT_READS", "off"),
        ("RATE_LIMIT_WRITES", "off"),
        ("RATE_LIMIT_ENQUEUES", "off"),
        ("RATE_LIMIT_EXPORTS", "off"),
    ])
    .await;
    let keys = api.tenant("Hostile").await;
    let mut cases = Vec::new();
    for operation in operations(&api).await {
        // Ends of the keys that this test needs, and changes of what all share.
        if operation.path.starts_with("/v1/auth/") || operation.path.starts_with("/v1/secrets") {
            continue;
        }
        if operation.path.contains('{') {
            cases.extend(
                IDS.map(|id| (operation.method.clone(), with(&operation.path, id), operation.statuses.clone())),
            );
        }
        for name in &operation.queries {
            for value in VALUES {
                let path = with(&operation.path, "00000000-0000-0000-0000-000000000000");
                cases.push((operation.method.clone(), format!("{path}?{name}={value}"), operation.statuses.clone()));
            }
        }
    }
    assert!(cases.len() > 1_000, "{} cases", cases.len());
    let found: Vec<String> = futures::stream::iter(&cases)
        .map(|(method, target, statuses)| wrong(&api, &keys.admin, method, target, statuses))
        .buffer_unordered(16)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(found.is_empty(), "{} of {}: {:#?}", found.len(), cases.len(), &found[..found.len().min(10)]);
    answer(api.get(&keys.viewer, "/v1/jobs"), StatusCode::OK).await;
}

#[tokio::test]
async fn methods_that_a_path_does_not_have_are_named_with_those_it_has() {
    let api = Api::start_with(&[("RATE_LIMIT_ADDRESS", "off")]).await;
    let keys = api.tenant("Methods").await;
    let all = operations(&api).await;
    for path in all.iter().map(|operation| operation.path.as_str()).collect::<std::collections::BTreeSet<_>>() {
        let has = |method: &Method| all.iter().any(|operation| operation.path == path && operation.method == *method);
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::POST, Method::TRACE] {
            if has(&method) {
                continue;
            }
            let request = api.request(method.clone(), &with(path, "x")).bearer_auth(&keys.admin);
            let response = request.send().await.unwrap();
            let allowed =
                response.headers().get("allow").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
            crate::api::shaped(response, "method-not-allowed").await;
            for other in all.iter().filter(|operation| operation.path == path) {
                assert!(allowed.contains(other.method.as_str()), "{method} {path}: {allowed}");
            }
        }
    }
}
