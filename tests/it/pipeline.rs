//! The main job: a request arrives by mail, a PDF quote goes back in the thread.

use mail_parser::{MessageParser, MimeHeaders as _};
use postrider_sandbox::ledger::Accepted;
use postrider_tests::corpus::millimetres;
use postrider_tests::mails::{self, Expectation, Mail, Outcome};
use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, pdf};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Polls are asked for; none comes by itself.
const NEVER: u32 = 86_400;

on_both_databases!(thirty_mails_become_twenty_five_quotes_and_five_reviews);

async fn thirty_mails_become_twenty_five_quotes_and_five_reviews(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    let requests = mails::requests();
    for (mail, _) in &requests {
        platform.sandbox().deliver(&office.address, mail.raw.clone()).await;
    }
    office.poll().await;
    let quotes = office.settled_quotes(requests.len()).await;
    let accepted = platform.sandbox().accepted_at_least(25).await;

    let mut wrong = Vec::new();
    for (mail, expected) in &requests {
        let checked = match expected.outcome {
            Outcome::Quoted => check_quoted(&platform, &office, mail, expected, &quotes, &accepted).await,
            Outcome::NeedsReview => check_review(mail, expected, &quotes, &accepted),
        };
        wrong.extend(checked.err().map(|reason| format!("{}: {reason}", mail.name)));
    }
    assert!(wrong.is_empty(), "{} of {} mails:\n{}", wrong.len(), requests.len(), wrong.join("\n"));
    assert_eq!(platform.sandbox().accepted().await.len(), 25, "somebody got a second reply");
    numbers_are_without_gaps(&quotes);
    platform.finish().await;
}

fn message_id(mail: &Mail) -> String {
    MessageParser::default().parse(&mail.raw).unwrap().message_id().unwrap().to_owned()
}

fn quote_of<'a>(mail: &Mail, quotes: &'a [Value]) -> Result<&'a Value, String> {
    let id = message_id(mail);
    quotes.iter().find(|quote| quote["mail"]["rfc_message_id"] == id.as_str()).ok_or_else(|| "has no quote".to_owned())
}

fn replies_to<'a>(mail: &Mail, accepted: &'a [Accepted]) -> Vec<&'a Accepted> {
    let id = message_id(mail);
    accepted.iter().filter(|reply| reply.in_reply_to.as_deref() == Some(id.as_str())).collect()
}

fn check_review(mail: &Mail, expected: &Expectation, quotes: &[Value], accepted: &[Accepted]) -> Result<(), String> {
    let quote = quote_of(mail, quotes)?;
    same("state", &quote["state"], "needs_review")?;
    let reason = quote["reason"].as_str().unwrap_or_default().to_lowercase();
    let word = expected.reason_contains.as_deref().unwrap();
    if !reason.contains(word) {
        return Err(format!("the reason does not say {word:?}: {reason:?}"));
    }
    same("total", &quote["total"], Value::Null)?;
    if replies_to(mail, accepted).is_empty() { Ok(()) } else { Err("got a reply".to_owned()) }
}

async fn check_quoted(
    platform: &Platform,
    office: &Office,
    mail: &Mail,
    expected: &Expectation,
    quotes: &[Value],
    accepted: &[Accepted],
) -> Result<(), String> {
    let quote = quote_of(mail, quotes)?;
    if quote["state"] != "sent" {
        return Err(format!("state {}, reason {}", quote["state"], quote["reason"]));
    }
    let lines = quote["lines"].as_array().cloned().unwrap_or_default();
    if lines.len() != expected.items.len() {
        return Err(format!("{} lines, expected {}: {lines:#?}", lines.len(), expected.items.len()));
    }
    for (line, item) in lines.iter().zip(&expected.items) {
        same("sku", &line["sku"], item.sku.as_str())?;
        same("material", &line["material"], json!(item.material))?;
        for (field, wanted) in [("quantity", &item.quantity), ("unit_price", &item.unit_price), ("total", &item.total)]
        {
            same_number(&format!("{} {field}", item.sku), &line[field], wanted)?;
        }
        let found = line["dimensions"].as_array().map_or(0, Vec::len);
        same("number of dimensions", &json!(found), item.dimensions.len())?;
        for wanted in &item.dimensions {
            let dimensions = line["dimensions"].as_array().unwrap();
            let dimension = dimensions.iter().find(|one| one["name"] == wanted.name.as_str());
            let dimension = dimension.ok_or_else(|| format!("{} has no {}", item.sku, wanted.name))?;
            let text = |field: &str| dimension[field].as_str().unwrap_or_default();
            let found = millimetres(text("value"), text("unit"));
            same(&wanted.name, &json!(found), json!(millimetres(&wanted.value, &wanted.unit)))?;
        }
    }
    let amounts = [("subtotal", &expected.subtotal), ("tax", &expected.tax), ("total", &expected.total)];
    for (field, wanted) in amounts {
        same_number(field, &quote[field], wanted.as_deref().unwrap())?;
    }
    same("currency", &quote["currency"], expected.currency.as_deref().unwrap())?;
    same("language", &quote["language"], expected.language.as_str())?;
    if let Some(deadline) = &expected.deadline {
        same("deadline", &quote["deadline"], deadline.as_str())?;
    }
    let replies = replies_to(mail, accepted);
    let [reply] = replies.as_slice() else { return Err(format!("{} replies", replies.len())) };
    check_reply(platform, mail, expected, reply).await?;
    let shown = office.api.bytes(&format!("/v1/quotes/{}/pdf", quote["id"].as_str().unwrap())).await;
    check_pdf(&shown, expected)
}

/// The reply is in the thread, to the right person, and carries the quote.
async fn check_reply(platform: &Platform, mail: &Mail, expected: &Expectation, reply: &Accepted) -> Result<(), String> {
    same("recipients", &json!(reply.rcpt_to), json!([expected.reply_to]))?;
    let request = MessageParser::default().parse(&mail.raw).unwrap();
    let earlier = request.references().as_text_list().unwrap_or_default().iter().map(ToString::to_string);
    let references: Vec<String> = earlier.chain([message_id(mail)]).collect();
    if !references.iter().all(|id| reply.references.contains(id)) {
        return Err(format!("References {:?} lack some of {references:?}", reply.references));
    }
    let subject = reply.subject.clone().unwrap_or_default();
    let asked = request.thread_name().unwrap_or_default();
    if !subject.to_lowercase().starts_with("re:") || !subject.contains(asked) {
        return Err(format!("subject {subject:?} does not answer {asked:?}"));
    }
    let raw = platform.sandbox().raw(reply).await;
    let parsed = MessageParser::default().parse(&raw).ok_or("the reply is no mail")?;
    let attachments: Vec<_> = parsed.attachments().collect();
    let [attachment] = attachments.as_slice() else { return Err(format!("{} attachments", attachments.len())) };
    if !attachment.attachment_name().unwrap_or_default().to_lowercase().ends_with(".pdf") {
        return Err(format!("the attachment is called {:?}", attachment.attachment_name()));
    }
    check_pdf(attachment.contents(), expected)
}

/// Read back by pdftotext, the greatest amount is the total, and all line prices, the subtotal and the tax are there.
fn check_pdf(file: &[u8], expected: &Expectation) -> Result<(), String> {
    let text = pdf::text(file);
    let amounts: Vec<Decimal> = pdf::amounts(&text).iter().map(|amount| amount.parse().unwrap()).collect();
    let total: Decimal = expected.total.as_deref().unwrap().parse().unwrap();
    if amounts.iter().max() != Some(&total) {
        return Err(format!("the PDF's total is not {total}: {amounts:?}\n{text}"));
    }
    let parts = expected.items.iter().flat_map(|item| [&item.unit_price, &item.total]);
    for wanted in parts.chain(expected.subtotal.iter()).chain(expected.tax.iter()) {
        if !amounts.contains(&wanted.parse().unwrap()) {
            return Err(format!("the PDF does not show {wanted}: {amounts:?}\n{text}"));
        }
    }
    Ok(())
}

fn same(what: &str, found: &Value, wanted: impl Into<Value>) -> Result<(), String> {
    let wanted = wanted.into();
    if *found == wanted { Ok(()) } else { Err(format!("{what} is {found}, expected {wanted}")) }
}

/// As numbers: 4 is 4.00.
fn same_number(what: &str, found: &Value, wanted: &str) -> Result<(), String> {
    let number = found.as_str().and_then(|text| text.parse::<Decimal>().ok());
    if number == wanted.parse().ok() { Ok(()) } else { Err(format!("{what} is {found}, expected {wanted}")) }
}

fn numbers_are_without_gaps(quotes: &[Value]) {
    let mut numbers: Vec<u32> =
        quotes.iter().filter_map(|quote| quote["number"].as_str()?.strip_prefix("LSD-")?.parse().ok()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers.len(), 25);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

#[tokio::test]
async fn mail_that_asks_for_nothing_gets_no_reply() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    for name in ["newsletter", "out-of-office", "bounce"] {
        platform.sandbox().deliver(&office.address, mails::mail(&format!("others/{name}.eml")).raw).await;
    }
    office.poll().await;
    platform.no_jobs_left().await;
    let mails = office.mails().await;
    assert_eq!(mails.len(), 3);
    for mail in &mails {
        assert_eq!((&mail["state"], &mail["intent"]), (&json!("ignored"), &json!("not_a_request")), "{mail:#}");
        assert!(mail["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{mail:#}");
    }
    assert_eq!(office.quotes().await, Vec::<Value>::new());
    assert!(platform.sandbox().accepted().await.is_empty());
    platform.finish().await;
}
