//! What is no request, or two in one: each ends with a refusal in words and a closed connection, and others are served meanwhile.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::api::{Api, answer};

/// Sends bytes, ends our side, and reads all answers. Whoever is still answered for ten seconds is not let go.
async fn say(api: &Api, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let talk = async {
        stream.write_all(bytes.as_ref()).await.unwrap();
        let mut text = Vec::new();
        // A reset after the answer is the end of a connection, too.
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), talk).await.unwrap()
}

/// The status and the problem of the only answer in a text.
fn only(text: &str, sent: &str) -> (u16, String) {
    let heads = text.match_indices("HTTP/1.").filter(|(at, _)| text.as_bytes()[at + 9].is_ascii_digit());
    assert_eq!(heads.count(), 1, "{sent:?}: {text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{sent:?}: {text:?}"));
    let status = head[9..12].parse().unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    if (400..600).contains(&status) {
        assert!(head.to_ascii_lowercase().contains("content-type: application/problem+json"), "{sent:?}: {text}");
        assert_eq!(body["status"], status, "{sent:?}: {text}");
        assert!(head.contains(body["request_id"].as_str().unwrap()), "{sent:?}: {text}");
    }
    (status, body["type"].as_str().unwrap_or_default().replace("/problems/", ""))
}

fn request(head: &str, body: &str) -> String {
    format!("{head}\r\n\r\n{body}")
}

#[tokio::test]
async fn what_is_no_request_of_http_is_told_so() {
    let api = Api::start().await;
    let end = "\r\nHost: x\r\nConnection: close\r\n\r\n";
    let health = "GET /healthz HTTP/1.1";
    let mut cases = vec![
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned(), 400, "malformed-request"),
        (format!("\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03{end}"), 400, "malformed-request"),
        (format!("GET /healthz HTTP/9.9{end}"), 400, "malformed-request"),
        (format!("GET  /healthz HTTP/1.1{end}"), 400, "malformed-request"),
        (format!("GET /healthz{end}"), 400, "malformed-request"),
        (format!("G\0T /healthz HTTP/1.1{end}"), 400, "malformed-request"),
        (format!("GET /health\0z HTTP/1.1{end}"), 400, "malformed-request"),
        (format!("{health}\r\nX Y: z{end}"), 400, "malformed-request"),
        (format!("{health}\r\nX\0Y: z{end}"), 400, "malformed-request"),
        (format!("{health}\r\nX-Y: a\0b{end}"), 400, "malformed-request"),
        (format!("{health}\r\nX-Y: a\rSet-Cookie: evil=1{end}"), 400, "malformed-request"),
        (format!("{health}\r\nX-Y: a\r\n continued{end}"), 400, "malformed-request"),
        (format!("{health}\r\nno colon{end}"), 400, "malformed-request"),
        (format!("{health}\r\nHost : x{end}"), 400, "malformed-request"),
        (format!("{health}\r\nConnection: close\r\n\r\n"), 400, "malformed-request"),
        (format!("{health}\r\nHost: y{end}"), 400, "malformed-request"),
        (
            format!("{health}\r\n{}\r\nConnection: close\r\nHost: x\r\n\r\n", vec!["X-A: b"; 99].join("\r\n")),
            431,
            "head-too-large",
        ),
        (format!("{health}\r\nX-Large: {}{end}", "x".repeat(300_000)), 431, "head-too-large"),
        (format!("GET /{} HTTP/1.1{end}", "x".repeat(300_000)), 431, "head-too-large"),
        (format!("GET /{} HTTP/1.1{end}", "x".repeat(65_600)), 414, "uri-too-long"),
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200, ""),
        (format!("{health}\r\n{}{end}", vec!["X-A: b"; 90].join("\r\n")), 200, ""),
        (format!("GET http://elsewhere.example/healthz HTTP/1.1{end}"), 200, ""),
        (format!("GET /healthz\u{e9} HTTP/1.1{end}"), 404, "no-such-path"),
        (format!("* /healthz HTTP/1.1{end}"), 405, "method-not-allowed"),
        (format!("OPTIONS * HTTP/1.1{end}"), 200, ""),
        (format!("CONNECT elsewhere.example:443 HTTP/1.1{end}"), 404, "no-such-path"),
        (format!("TRACE /healthz HTTP/1.1{end}"), 405, "method-not-allowed"),
        (format!("BREW /healthz HTTP/1.1{end}"), 405, "method-not-allowed"),
    ];
    cases.push((format!("{health}\r\nX-Request-Id: {}{end}", "x".repeat(1_000)), 200, ""));
    let mut wrong = Vec::new();
    for (sent, status, slug) in cases {
        let shown: String = sent.chars().take(120).collect();
        let found = only(&say(&api, &sent).await, &shown);
        if found != (status, slug.to_owned()) {
            wrong.push(format!("{shown:?}: {found:?} instead of {status} {slug}"));
        }
        answer(api.request(Method::GET, "/healthz"), StatusCode::OK).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn no_body_holds_a_second_request() {
    let api = Api::start().await;
    let keys = api.tenant("Smuggled").await;
    let job = json!({ "kind": "diagnostic.echo" }).to_string();
    let head = |lines: &str| {
        format!(
            "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n{lines}",
            keys.agent
        )
    };
    let hidden = format!("GET /v1/kinds HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", keys.viewer);
    let chunk = format!("{:x}\r\n{job}\r\n0\r\n\r\n", job.len());
    let length = job.len();
    let chunked = "Transfer-Encoding: chunked";
    let mut wrong = Vec::new();
    for (sent, status, slug) in [
        // The length is not believed beside the chunks, and whatever follows is not the next request.
        (request(&head(&format!("Content-Length: 5\r\n{chunked}")), &format!("{chunk}{hidden}")), 202, ""),
        (request(&head(&format!("{chunked}\r\nContent-Length: 5")), &format!("{chunk}{hidden}")), 202, ""),
        (request(&head(chunked), &format!("{chunk}{hidden}")), 202, ""),
        (request(&head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), &chunk), 400, "malformed-request"),
        (request(&head("Transfer-Encoding: xchunked"), &chunk), 400, "malformed-request"),
        (request(&head("Transfer-Encoding: chunked, identity"), &chunk), 400, "malformed-request"),
        (
            request(&head(&format!("Transfer-Encoding : chunked\r\nContent-Length: {length}")), &job),
            400,
            "malformed-request",
        ),
        (request(&head("Transfer-Encoding:\u{b}chunked"), &chunk), 400, "malformed-request"),
        (
            request(&head(&format!("Content-Length: {length}\r\nContent-Length: {}", length + 1)), &job),
            400,
            "malformed-request",
        ),
        (request(&head(&format!("Content-Length: {length}, {length}")), &job), 400, "malformed-request"),
        (request(&head(&format!("Content-Length: +{length}")), &job), 400, "malformed-request"),
        (request(&head("Content-Length: -1"), &job), 400, "malformed-request"),
        (request(&head("Content-Length: 0x10"), &job), 400, "malformed-request"),
        (request(&head("Content-Length: 99999999999999999999"), &job), 400, "malformed-request"),
        (request(&head(chunked), &format!("zz\r\n{job}\r\n0\r\n\r\n")), 400, "malformed-json"),
        (request(&head(chunked), &format!("-5\r\n{job}\r\n0\r\n\r\n")), 400, "malformed-json"),
        (request(&head(chunked), &format!("{length:x}\r\n{job}X\r\n0\r\n\r\n")), 400, "malformed-json"),
        (request(&head(chunked), &format!("ffffffffffffffffff\r\n{job}\r\n0\r\n\r\n")), 400, "malformed-json"),
        (
            request(&head(chunked), &format!("{:x};{}\r\n{job}\r\n0\r\n\r\n", length, "x".repeat(100_000))),
            400,
            "malformed-json",
        ),
        (request(&head(chunked).replace("1.1", "1.0"), &chunk), 400, "malformed-request"),
    ] {
        let shown: String = sent.chars().skip(150).take(200).collect();
        let found = only(&say(&api, &sent).await, &shown);
        if found != (status, slug.to_owned()) {
            wrong.push(format!("{shown:?}: {found:?} instead of {status} {slug}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A body that is shorter than it says is never taken for a whole one.
    for (lines, body) in [
        (format!("Content-Length: {}", length + 10), job.clone()),
        (chunked.to_owned(), format!("{length:x}\r\n{job}\r\n")),
    ] {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(request(&head(&lines), &body).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        assert!(text.is_empty() || only(&text, &lines) == (400, "malformed-json".to_owned()), "{lines}: {text}");
    }
    let list = answer(api.get(&keys.viewer, "/v1/jobs"), StatusCode::OK).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 3, "{list}");
}
