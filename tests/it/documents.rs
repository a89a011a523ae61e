//! Requests that come as files: thirty committed documents, each attached to a mail of its own, through the whole product.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use postrider_tests::corpus::right_lines;
use postrider_tests::documents::{self, CommittedDocument};
use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, pdf};
use serde_json::{Value, json};

/// Polls are asked for; none comes by itself.
const NEVER: u32 = 86_400;

fn words(language: &str) -> &'static str {
    match language {
        "de" => "Guten Tag,\r\n\r\nbitte machen Sie uns ein Angebot für die Positionen im Anhang.\r\n",
        "fr" => "Bonjour,\r\n\r\npouvez-vous nous faire un devis pour la liste en pièce jointe ?\r\n",
        _ => "Hello,\r\n\r\ncould you please send us a quote for what is in the attached file?\r\n",
    }
}

on_both_databases!(a_sheet_becomes_a_quote_and_stays_with_it);

async fn a_sheet_becomes_a_quote_and_stays_with_it(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    let sheet = documents::document("12-injection.xlsx");
    let mail = documents::mail_with(1, &office.address, words("de"), &[("../../Anfrage Müller.csv", &sheet.content)]);
    platform.sandbox().deliver(&office.address, mail).await;
    office.poll().await;
    let quotes = office.settled_quotes(1).await;
    let quote = &quotes[0];
    assert_eq!(quote["state"], "sent", "{quote:#}");
    check_lines(&sheet, quote).unwrap();
    let id = quote["id"].as_str().unwrap();

    let listed = office.api.get(&format!("/v1/quotes/{id}/attachments")).await.ok();
    let file = &listed["items"][0];
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!((&file["state"], &file["kind"]), (&json!("read"), &json!("xlsx")), "{file:#}");
    assert_eq!(file["name"], "Anfrage Müller.csv");
    assert_eq!(
        office.api.get(&format!("/v1/mails/{}/attachments", quote["mail_id"].as_str().unwrap())).await.ok(),
        listed
    );
    // A formula stays the text it is, and goes nowhere but there.
    assert!(file["text"].as_str().unwrap().contains("=HYPERLINK(\"http://evil.example\""), "{file:#}");
    let drawn = pdf::text(&office.api.bytes(&format!("/v1/quotes/{id}/pdf")).await);
    for formula in ["HYPERLINK", "@SUM", "evil.example"] {
        assert!(!drawn.contains(formula), "{drawn}");
    }

    let path = format!("/v1/attachments/{}/content", file["id"].as_str().unwrap());
    let answer = office.api.get(&path).await;
    assert_eq!(office.api.bytes(&path).await, sheet.content);
    let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    assert_eq!(header("content-type"), file["media_type"].as_str().unwrap());
    assert!(header("content-disposition").starts_with("attachment; filename=\"Anfrage_M_ller.csv\""), "{answer:?}");
    assert_eq!(header("x-content-type-options"), "nosniff");
    let stranger = platform.tenant("Stranger").await;
    assert_eq!(stranger.get(&path).await.status, 404);
    assert_eq!(stranger.get(&format!("/v1/quotes/{id}/attachments")).await.status, 404);
    platform.finish().await;
}

#[tokio::test]
async fn thirty_documents_are_read() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let documents = documents::documents();
    assert_eq!(documents.len(), 30);
    for (at, document) in documents.iter().enumerate() {
        let file = (document.name.as_str(), document.content.as_slice());
        let mail = documents::mail_with(at, &office.address, words(&document.expected.language), &[file]);
        platform.sandbox().deliver(&office.address, mail).await;
    }
    office.poll().await;
    let quotes = office.settled_quotes(documents.len()).await;
    let (mut wrong, mut figures) = (Vec::new(), BTreeMap::<String, [usize; 4]>::new());
    for (at, document) in documents.iter().enumerate() {
        let id = format!("document-{at}@documents.example");
        let quote = quotes.iter().find(|quote| quote["mail"]["rfc_message_id"] == id.as_str());
        let checked = match quote {
            Some(quote) => check(&office, document, quote).await,
            None => Err("has no quote".to_owned()),
        };
        let expected = document.expected.items.len();
        let figure = figures.entry(document.expected.kind.clone()).or_default();
        figure[0] += 1;
        figure[1] += usize::from(checked.is_ok());
        figure[2] += expected;
        figure[3] += if checked.is_ok() {
            expected
        } else {
            quote.map_or(0, |quote| right_lines(&document.expected.items, quote))
        };
        wrong.extend(checked.err().map(|reason| format!("{}: {reason}", document.name)));
    }
    let mut table = String::from("kind   documents right   items right\n");
    for (kind, [documents, right, items, right_items]) in &figures {
        let _ = writeln!(table, "{kind:6} {right:>9} / {documents:<5} {right_items:>7} / {items}");
    }
    eprintln!("{table}");
    assert!(wrong.is_empty(), "{} of 30 documents:\n{}\n{table}", wrong.len(), wrong.join("\n"));
    platform.finish().await;
}

async fn check(office: &Office, document: &CommittedDocument, quote: &Value) -> Result<(), String> {
    let expected = &document.expected;
    let listed = office.api.get(&format!("/v1/quotes/{}/attachments", quote["id"].as_str().unwrap())).await.ok();
    let file = &listed["items"][0];
    if file["state"] != expected.state.as_str() {
        return Err(format!("it is {}: {}", file["state"], file["reason"]));
    }
    if expected.items.is_empty() {
        let reason = quote["reason"].as_str().unwrap_or_default();
        let word = expected.reason_contains.as_deref().unwrap_or_default();
        let told = quote["state"] == "needs_review" && reason.contains(word) && reason.contains(&document.name);
        return if told { Ok(()) } else { Err(format!("{}: {reason}", quote["state"])) };
    }
    if file["kind"] != expected.kind.as_str() {
        return Err(format!("it was taken for {}", file["kind"]));
    }
    check_lines(document, quote).map_err(|wrong| format!("{wrong}\n{}", file["text"].as_str().unwrap_or_default()))
}

fn check_lines(document: &CommittedDocument, quote: &Value) -> Result<(), String> {
    if quote["state"] != "sent" {
        return Err(format!("state {}, reason {}", quote["state"], quote["reason"]));
    }
    let lines = quote["lines"].as_array().map_or(0, Vec::len);
    let (right, expected) = (right_lines(&document.expected.items, quote), document.expected.items.len());
    if right == expected && lines == expected {
        Ok(())
    } else {
        Err(format!("{right} of {expected} items are right: {:#}", quote["lines"]))
    }
}
