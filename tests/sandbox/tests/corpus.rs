//! The rules against the mails in tests/mails, which were written first.
//!
//! The text is prepared as a mail reader would: the plain part if it says something, else the HTML part; no run of
//! white space is kept.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mail_parser::{Message, MessageParser};
use postrider_sandbox::llm::rules::answer;
use postrider_sandbox::llm::{Answer, Earlier, Intent, Item, Mail, Product, QuoteRequest};
use rust_decimal::Decimal;
use serde_json::Value;

fn mails() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../mails")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn products() -> Vec<Product> {
    serde_json::from_value(json(&mails().join("products.json"))).unwrap()
}

fn mail(path: &Path) -> Mail {
    let raw = std::fs::read(path).unwrap();
    let message = MessageParser::new().parse(&raw).unwrap_or_default();
    let from = message.from().and_then(|from| from.first());
    let from = from.map(|from| format!("{} <{}>", from.name().unwrap_or_default(), from.address().unwrap_or_default()));
    let subject = message.subject().unwrap_or_default().to_owned();
    Mail {
        from: from.unwrap_or_default(),
        is_reply: subject.starts_with("Re:"),
        subject,
        sent_at: None,
        text: text(&message),
    }
}

fn text(message: &Message<'_>) -> String {
    let plain: String = message
        .text_bodies()
        .filter(|part| part.is_text() && !part.is_text_html())
        .filter_map(|part| part.text_contents())
        .collect();
    let html: String =
        message.html_bodies().filter(|part| part.is_text_html()).filter_map(|part| part.text_contents()).collect();
    let plain = squeezed(&plain);
    let html = html2text::config::plain_no_decorate()
        .no_table_borders()
        .allow_width_overflow()
        .link_footnotes(false)
        .string_from_read(html.as_bytes(), 4000)
        .unwrap();
    if plain.trim().len() < 80 && html.trim().len() > plain.trim().len() { squeezed(&html) } else { plain }
}

fn squeezed(text: &str) -> String {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

fn ask(path: &Path, earlier: Vec<Earlier>) -> (Answer, Mail) {
    let request =
        QuoteRequest { products: products(), earlier, mail: mail(path), quote: None, attachments: Vec::new() };
    (answer(&request), request.mail)
}

fn number(text: &str) -> Decimal {
    text.parse::<Decimal>().unwrap_or_else(|_| panic!("{text} is no decimal")).normalize()
}

/// A length in millimetres.
fn millimetres(value: &str, unit: &str) -> Decimal {
    let per_unit = match unit {
        "mm" => "1",
        "cm" => "10",
        "m" => "1000",
        "in" => "25.4",
        "ft" => "304.8",
        _ => panic!("unit {unit}"),
    };
    (number(value) * number(per_unit)).normalize()
}

type Line = (String, Decimal, Option<String>, BTreeMap<String, Decimal>);

fn line(
    sku: &str,
    quantity: &str,
    material: Option<&str>,
    dimensions: impl Iterator<Item = (String, Decimal)>,
) -> Line {
    (sku.to_owned(), number(quantity), material.map(str::to_owned), dimensions.collect())
}

fn expected_lines(expected: &Value) -> Vec<Line> {
    let one = |item: &Value| {
        let dimensions = item["dimensions"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        line(
            item["sku"].as_str().unwrap(),
            item["quantity"].as_str().unwrap(),
            item["material"].as_str(),
            dimensions.map(|one| (text(&one["name"]), millimetres(&text(&one["value"]), &text(&one["unit"])))),
        )
    };
    expected["items"].as_array().unwrap().iter().map(one).collect()
}

fn answered_line(item: &Item) -> Line {
    let dimensions = item.dimensions.iter().map(|one| (one.name.clone(), millimetres(&one.value, &one.unit)));
    line(
        item.sku.as_deref().unwrap_or("?"),
        item.quantity.as_deref().unwrap_or("0"),
        item.material.as_deref(),
        dimensions,
    )
}

/// What is wrong with the answer to one mail.
fn faults(path: &Path, expected: &Value) -> Vec<String> {
    let (answer, mail) = ask(path, Vec::new());
    let mut faults = Vec::new();
    let mut note = |wrong: bool, what: String| {
        if wrong {
            faults.push(what);
        }
    };
    note(serde_json::to_value(answer.intent).unwrap() != expected["intent"], format!("intent {:?}", answer.intent));
    note(Some(answer.language.as_str()) != expected["language"].as_str(), format!("language {}", answer.language));
    note(
        expected["deadline"].is_string() && answer.deadline.as_deref() != expected["deadline"].as_str(),
        format!("deadline {:?}", answer.deadline),
    );
    let words = squeezed(&mail.text).replace('\n', " ");
    for item in &answer.items {
        let excerpt = item.excerpt.split_whitespace().collect::<Vec<_>>().join(" ");
        note(!words.contains(&excerpt), format!("excerpt not in the mail: {}", item.excerpt));
    }
    let problems: Vec<String> =
        answer.problem.iter().chain(answer.items.iter().filter_map(|item| item.problem.as_ref())).cloned().collect();
    if expected["outcome"] == "quoted" {
        note(!problems.is_empty(), format!("problems {problems:?}"));
        note(answer.confidence < 0.7, format!("confidence {}", answer.confidence));
        let lines: Vec<Line> = answer.items.iter().map(answered_line).collect();
        note(lines != expected_lines(expected), format!("items {:#?}", answer.items));
    } else {
        note(
            !needs_review(&answer, expected["reason_contains"].as_str().unwrap()),
            format!("no reason to review: {answer:#?}"),
        );
    }
    faults
}

/// A problem that names the reason, or a size that the product cannot have, which the caller refuses by its bounds.
fn needs_review(answer: &Answer, reason: &str) -> bool {
    let told = answer
        .problem
        .iter()
        .chain(answer.items.iter().filter_map(|item| item.problem.as_ref()))
        .any(|problem| problem.contains(reason));
    let catalogue = json(&mails().join("products.json"));
    let out_of_bounds = answer.items.iter().any(|item| {
        let product =
            catalogue.as_array().unwrap().iter().find(|product| product["sku"].as_str() == item.sku.as_deref());
        item.dimensions.iter().filter(|one| one.name == reason).any(|one| {
            let declared = product.unwrap()["dimensions"]
                .as_array()
                .unwrap()
                .iter()
                .find(|declared| declared["name"] == one.name.as_str())
                .unwrap();
            millimetres(&one.value, &one.unit)
                > millimetres(declared["max"].as_str().unwrap(), declared["unit"].as_str().unwrap())
        })
    });
    told || out_of_bounds
}

#[test]
fn every_mail_yields_what_a_person_would_read_in_it() {
    let mut all = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(mails()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        count += 1;
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let expected = json(&mails().join(format!("expected/{name}.json")));
        all.extend(faults(&path, &expected).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(count >= 30, "{count} mails");
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn mail_that_asks_for_nothing_new_is_told_apart() {
    let first = mail(&mails().join("01-de-banner-vereinsfest.eml"));
    let earlier = || {
        vec![Earlier {
            id: None,
            elsewhere: false,
            subject: Some(first.subject.clone()),
            sent_at: None,
            summary: Some(first.text.chars().take(300).collect()),
        }]
    };
    for (name, expected) in json(&mails().join("others/expected.json")).as_object().unwrap() {
        // Whoever reads the headers asks no model.
        if expected["by"] == "headers" {
            continue;
        }
        let before = if expected["after"].is_string() { earlier() } else { Vec::new() };
        let (answer, _) = ask(&mails().join("others").join(name), before);
        assert_eq!(serde_json::to_value(answer.intent).unwrap(), expected["intent"], "{name}: {answer:#?}");
        assert_eq!(Some(answer.language.as_str()), expected["language"].as_str(), "{name}");
    }
}

#[test]
fn hostile_mail_gets_no_wrong_item() {
    let of = |name: &str| ask(&mails().join("hostile").join(name), Vec::new()).0;
    let injected = of("injection-with-items.eml");
    assert_eq!(
        injected.items.iter().map(answered_line).collect::<Vec<_>>(),
        [line("ROLLUP", "2", None, std::iter::empty())]
    );
    assert_eq!(of("negative-quantity.eml").items[0].quantity.as_deref(), Some("-5"));
    assert_eq!(of("absurd-quantity.eml").items[0].quantity.as_deref(), Some("99999999999999999999999999999999"));
    assert_eq!(of("no-message-id.eml").items[0].quantity.as_deref(), Some("1000"));
    for name in [
        "deep-nesting.eml",
        "not-mail.eml",
        "empty.eml",
        "broken-mime.eml",
        "ten-thousand-recipients.eml",
        "script-html.eml",
    ] {
        let answer = of(name);
        assert!(
            answer.items.iter().all(|item| item.sku.is_none() || item.quantity.is_some() || item.problem.is_some()),
            "{name}"
        );
    }
    assert_eq!(of("empty.eml").intent, Intent::NotARequest);
}
