//! The OpenAI-compatible endpoint over HTTP, and the rules on wordings that no mail of the corpus has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use postrider_sandbox::faults::{Fault, FaultKind, Target};
use postrider_sandbox::llm::rules::answer;
use postrider_sandbox::llm::{Answer, Item, Mail, QuoteRequest};
use postrider_sandbox::{Client, Sandbox};
use serde_json::{Value, json};

fn products() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../mails/products.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

struct Endpoint {
    sandbox: Sandbox,
    client: Client,
    http: reqwest::Client,
}

impl Endpoint {
    async fn start() -> Self {
        let sandbox = Sandbox::spawn().await.unwrap();
        let client = sandbox.client();
        Self { sandbox, client, http: reqwest::Client::new() }
    }

    async fn post(&self, body: &Value) -> Result<reqwest::Response, reqwest::Error> {
        let url = format!("{}/chat/completions", self.sandbox.addresses.openai_base_url);
        self.http.post(url).bearer_auth("any").body(body.to_string()).send().await
    }

    async fn ask(&self, text: &str) -> reqwest::Response {
        self.post(&question(text)).await.unwrap()
    }

    async fn order(&self, kind: FaultKind) {
        self.client.order(&Fault::new(Target::Llm, kind).times(1)).await.unwrap();
    }
}

fn question(text: &str) -> Value {
    let user = json!({"products": products(), "earlier": [], "mail": {"from": "Anna <a@b.example>", "subject": "Anfrage",
        "sent_at": null, "text": text, "is_reply": false}});
    json!({"model": "gpt-4.1-mini", "messages": [{"role": "system", "content": "…"}, {"role": "user", "content": user.to_string()}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "quote_request", "strict": true, "schema": {}}}})
}

async fn json_of(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn answers_in_the_shape_of_the_service() {
    let endpoint = Endpoint::start().await;
    let response = json_of(endpoint.ask("Bitte ein Angebot über 3 Roll-ups.").await).await;
    assert_eq!(
        (&response["object"], &response["choices"][0]["finish_reason"]),
        (&json!("chat.completion"), &json!("stop"))
    );
    let answer: Answer = serde_json::from_str(response["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert_eq!((answer.items[0].sku.as_deref(), answer.items[0].quantity.as_deref()), (Some("ROLLUP"), Some("3")));
    assert_eq!(answer.customer_name.as_deref(), Some("Anna"));
    let served = endpoint.client.llm().await.unwrap();
    assert_eq!((served.len(), served[0].outcome.as_str(), served[0].answer.as_ref()), (1, "answered", Some(&answer)));
}

#[tokio::test]
async fn refuses_what_is_no_call() {
    let endpoint = Endpoint::start().await;
    for body in [
        json!({}),
        json!({"model": "m", "messages": []}),
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    ] {
        let response = endpoint.post(&body).await.unwrap();
        assert_eq!(response.status(), 400, "{body}");
        assert_eq!(json_of(response).await["error"]["type"], "invalid_request_error");
    }
    let url = format!("{}/chat/completions", endpoint.sandbox.addresses.openai_base_url);
    assert_eq!(endpoint.http.post(url).body("{}").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn fails_in_every_way_it_is_told() {
    let endpoint = Endpoint::start().await;
    let choice = async |kind| {
        endpoint.order(kind).await;
        json_of(endpoint.ask("3 Roll-ups bitte").await).await["choices"][0].clone()
    };
    assert!(choice(FaultKind::Refusal).await["message"]["refusal"].is_string());
    assert_eq!(choice(FaultKind::Cut).await["finish_reason"], "length");
    let content = async |kind| choice(kind).await["message"]["content"].as_str().unwrap().to_owned();
    assert!(serde_json::from_str::<Value>(&content(FaultKind::MalformedJson).await).is_err());
    assert!(serde_json::from_str::<Answer>(&content(FaultKind::NotInSchema).await).is_err());
    assert_eq!(serde_json::from_str::<Answer>(&content(FaultKind::Invented).await).unwrap().items.len(), 2);
    let errors = [
        (FaultKind::RateLimit, 429, "rate_limit_exceeded"),
        (FaultKind::InsufficientQuota, 429, "insufficient_quota"),
        (FaultKind::ServerError, 500, "server_error"),
    ];
    for (kind, status, code) in errors {
        endpoint.order(kind).await;
        let response = endpoint.ask("x").await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key("retry-after"), kind == FaultKind::RateLimit);
        assert_eq!(json_of(response).await["error"]["code"], code);
    }
    endpoint.order(FaultKind::NumericCode).await;
    assert_eq!(json_of(endpoint.ask("x").await).await["error"]["code"], 429);
    endpoint.order(FaultKind::NotJson).await;
    assert_eq!(endpoint.ask("x").await.status(), 502);
    endpoint.order(FaultKind::Close).await;
    let closed = endpoint.post(&question("x")).await;
    assert!(match closed {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    });
    assert_eq!(endpoint.ask("x").await.status(), 200, "every fault is spent");
}

fn items(text: &str) -> Vec<Item> {
    let mail = Mail { from: "a@b.example".into(), text: text.into(), ..Mail::default() };
    let products = serde_json::from_value(products()).unwrap();
    answer(&QuoteRequest { products, earlier: Vec::new(), mail, quote: None, attachments: Vec::new() }).items
}

/// `sku quantity material width×height…`, or the problem.
fn read(text: &str) -> Vec<String> {
    let show = |item: Item| {
        if let Some(problem) = item.problem {
            return format!("{}: {problem}", item.sku.unwrap_or_default());
        }
        let sizes: Vec<String> = item.dimensions.iter().map(|one| format!("{}{}", one.value, one.unit)).collect();
        let words = [item.sku, item.quantity, item.material, Some(sizes.join("x"))];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    items(text).into_iter().map(show).collect()
}

#[test]
fn other_wordings_are_understood() {
    let cases = [
        ("Bitte bieten Sie an: Messebanner aus Mesh, 5 Stück, 3 x 1,20 m.", vec!["BANNER 5 MESH-300 3mx1.2m"]),
        (
            "Wir brauchen Schilder aus Dibond:\n- 3 Stück 40 x 30 cm\n- 2 Stück 1 m breit und 50 cm hoch",
            vec!["SIGN 3 ALU-3 40cmx30cm", "SIGN 2 ALU-3 1mx50cm"],
        ),
        ("Could you quote twenty-five acrylic signs, H x W 300 x 200 mm?", vec!["SIGN 25 ACRYL-5 200mmx300mm"]),
        (
            "Nous voudrions deux cents cartes de visite en papier recyclé et 4 roll-up.",
            vec!["CARD 200 RECYCLED-300 ", "ROLLUP 4 "],
        ),
        ("Quantity: 1,500\nProduct: stickers\nMaterial: paper\nSize: 5 x 5 cm", vec!["STICKER 1500 PAPER-90 5cmx5cm"]),
        (
            "Ich hätte gern 2 Banner aus PVC. Sie sollen 400 cm breit und 1 m hoch sein.",
            vec!["BANNER 2 PVC-510 400cmx1m"],
        ),
        ("Please quote one roll-up (budget 90 EUR, by 3 March 2027).", vec!["ROLLUP 1 "]),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn doubt_is_a_problem_and_never_a_guess() {
    let cases = [
        ("2-3 Roll-ups bitte, was kosten die?", "range"),
        ("5 Schilder aus Dibond, 400 x 300", "unit"),
        ("5 Schilder aus Dibond oder Acrylglas, 400 x 300 mm", "material is unclear"),
        ("5 Schilder aus Dibond, 400 x 300 x 20 mm", "unclear which size"),
        ("3 Banner aus PVC, 3 x 1 m und 40 Poloshirts", "no product"),
        ("- 3 Roll-ups\n- 40 Poloshirts", "no product"),
        ("Angebot für Aufkleber, weißes Vinyl, 8 x 8 cm, und 3 Roll-ups", "quantity is missing"),
        ("10 Roll-ups, 120 x 220 cm", "one size"),
    ];
    for (text, reason) in cases {
        let read = read(text);
        assert!(read.iter().any(|line| line.contains(reason)), "{text}: {read:?}");
    }
}
