//! The committed mails and documents through the whole product: how many come out right, by kind. The sandbox's rules stand in for
//! the language model, and mails, documents and rules come from one hand: the figures are about everything but the model.

use std::collections::BTreeMap;

use clap::Args;
use mail_parser::{Message, MessageParser};
use postrider_tests::corpus::right_lines;
use postrider_tests::mails::{Mail, Outcome};
use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, Report, documents, mails};
use serde_json::{Value, json};

/// Polls are asked for; none comes by itself.
const NEVER: u32 = 86_400;

/// Both parts if none is named.
#[derive(Debug, Clone, Copy, Args)]
pub struct Options {
    /// The thirty requests of `tests/mails`, and the mail beside them that must be left alone.
    #[arg(long)]
    mails: bool,
    /// The thirty files of `tests/documents`.
    #[arg(long)]
    documents: bool,
}

/// What came out right of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    right: usize,
    of: usize,
    items: usize,
    of_items: usize,
}

impl Score {
    fn add(&mut self, is_right: bool, items: usize, of_items: usize) {
        self.right += usize::from(is_right);
        self.of += 1;
        self.items += items;
        self.of_items += of_items;
    }

    fn is_whole(self) -> bool {
        self.right == self.of && self.items == self.of_items
    }

    fn json(self) -> Value {
        json!({ "right": self.right, "of": self.of, "items_right": self.items, "of_items": self.of_items })
    }
}

/// Scores by kind, the kind `all` among them.
#[derive(Debug, Default)]
struct Scores(BTreeMap<String, Score>);

impl Scores {
    fn add(&mut self, kinds: &[String], is_right: bool, items: usize, of_items: usize) {
        for kind in kinds.iter().map(String::as_str).chain(["all"]) {
            self.0.entry(kind.to_owned()).or_default().add(is_right, items, of_items);
        }
    }

    fn into_report(self, report: &mut Report, what: &str) {
        let whole = self.0.get("all").is_some_and(|all| all.is_whole());
        for (kind, score) in self.0 {
            report.figure(&format!("{what}_{kind}"), score.json());
        }
        report.must(&format!("all {what} come out right"), whole);
    }
}

pub async fn run(options: Options) -> Report {
    let both = !options.mails && !options.documents;
    let mut report = Report::new("corpus");
    if options.mails || both {
        mails(&mut report).await;
    }
    if options.documents || both {
        documents(&mut report).await;
    }
    report
}

async fn mails(report: &mut Report) {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    let office = platform.workshop(NEVER).await;
    let requests = mails::requests();
    for (mail, _) in &requests {
        platform.sandbox().deliver(&office.address, mail.raw.clone()).await;
    }
    office.poll().await;
    let quotes = office.settled_quotes(requests.len()).await;
    let mut scores = Scores::default();
    let mut wrong = Vec::new();
    for (mail, expected) in &requests {
        let message = MessageParser::default().parse(&mail.raw).unwrap_or_default();
        let quote = quotes.iter().find(|quote| quote["mail"]["rfc_message_id"] == json!(message.message_id()));
        let quote = quote.cloned().unwrap_or_default();
        let items = right_lines(&expected.items, &quote);
        let lines = quote["lines"].as_array().map_or(0, Vec::len);
        let is_right = match expected.outcome {
            Outcome::Quoted => {
                quote["state"] == "sent"
                    && items == expected.items.len()
                    && lines == items
                    && same_total(&quote, expected)
            }
            Outcome::NeedsReview => {
                let reason = quote["reason"].as_str().unwrap_or_default().to_lowercase();
                quote["state"] == "needs_review"
                    && reason.contains(expected.reason_contains.as_deref().unwrap_or_default())
            }
        };
        let kinds = [format!("language_{}", expected.language), format!("form_{}", form(mail, &message))];
        scores.add(&kinds, is_right, items, expected.items.len());
        if !is_right {
            wrong.push(mail.name.clone());
        }
    }
    scores.into_report(report, "mails");
    report.figure("mails_wrong", wrong);
    others(&platform, &office, report).await;
    platform.finish().await;
}

fn same_total(quote: &Value, expected: &mails::Expectation) -> bool {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<rust_decimal::Decimal>().ok());
    number(quote["total"].as_str()) == number(expected.total.as_deref())
}

/// How the request is written.
fn form(mail: &Mail, message: &Message<'_>) -> &'static str {
    let subject = message.subject().unwrap_or_default().to_lowercase();
    let has_html = message.parts.iter().any(mail_parser::MessagePart::is_text_html);
    if subject.starts_with("fw") || subject.starts_with("wg:") || mail.name.contains("forwarded") {
        "forwarded"
    } else if message.in_reply_to().as_text().is_some() {
        "reply"
    } else if message.attachments().any(|part| !part.is_text() && !part.is_multipart()) {
        "attachment"
    } else if has_html && String::from_utf8_lossy(&mail.raw).contains("<table") {
        "html_table"
    } else if has_html {
        "html"
    } else {
        "plain"
    }
}

/// The mail that asks for no new quote: each is recorded with a reason, and none is answered.
async fn others(platform: &Platform, office: &Office, report: &mut Report) {
    let before = platform.sandbox().accepted().await.len();
    let others = mails::others();
    for (mail, _) in &others {
        platform.sandbox().deliver(&office.address, mail.raw.clone()).await;
    }
    office.poll().await;
    platform.no_jobs_left().await;
    let shown = office.mails().await;
    let mut left_alone = BTreeMap::new();
    for (mail, expected) in &others {
        let message = MessageParser::default().parse(&mail.raw).unwrap_or_default();
        let of = |shown: &&Value| shown["rfc_message_id"] == json!(message.message_id());
        let shown = shown.iter().find(of).cloned().unwrap_or_default();
        let is_right = shown["intent"] == expected.intent.as_str()
            && shown["reason"].as_str().is_some_and(|reason| !reason.is_empty())
            && (expected.outcome != "ignored" || shown["state"] == "ignored");
        left_alone.insert(mail.name.clone(), is_right);
    }
    let answered = platform.sandbox().accepted().await.len() - before;
    let right = left_alone.values().filter(|right| **right).count();
    report
        .figure("others", json!({ "right": right, "of": left_alone.len(), "answered": answered }))
        .figure("others_left_alone", json!(left_alone))
        .must("mail that asks for no quote is left alone", right == left_alone.len() && answered == 0);
}

async fn documents(report: &mut Report) {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    let office = platform.workshop(NEVER).await;
    let documents = documents::documents();
    for (at, document) in documents.iter().enumerate() {
        let text = match document.expected.language.as_str() {
            "de" => "Guten Tag,\r\n\r\nbitte machen Sie uns ein Angebot für die Positionen im Anhang.\r\n",
            "fr" => "Bonjour,\r\n\r\npouvez-vous nous faire un devis pour la liste en pièce jointe ?\r\n",
            _ => "Hello,\r\n\r\ncould you please send us a quote for what is in the attached file?\r\n",
        };
        let file = (document.name.as_str(), document.content.as_slice());
        platform.sandbox().deliver(&office.address, documents::mail_with(at, &office.address, text, &[file])).await;
    }
    office.poll().await;
    let quotes = office.settled_quotes(documents.len()).await;
    let mut scores = Scores::default();
    let mut wrong = Vec::new();
    for (at, document) in documents.iter().enumerate() {
        let id = format!("document-{at}@documents.example");
        let quote = quotes.iter().find(|quote| quote["mail"]["rfc_message_id"] == id.as_str());
        let quote = quote.cloned().unwrap_or_default();
        let expected = &document.expected;
        let items = right_lines(&expected.items, &quote);
        let is_right = if expected.items.is_empty() {
            let reason = quote["reason"].as_str().unwrap_or_default();
            quote["state"] == "needs_review" && reason.contains(expected.reason_contains.as_deref().unwrap_or_default())
        } else {
            let lines = quote["lines"].as_array().map_or(0, Vec::len);
            quote["state"] == "sent" && items == expected.items.len() && lines == items
        };
        let kinds = [format!("kind_{}", expected.kind), format!("language_{}", expected.language)];
        scores.add(&kinds, is_right, items, expected.items.len());
        if !is_right {
            wrong.push(document.name.clone());
        }
    }
    scores.into_report(report, "documents");
    report.figure("documents_wrong", wrong);
    platform.finish().await;
}
