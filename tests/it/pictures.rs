//! Pictures: shown to a model that sees, within limits, and what it reads in them is compared by a person. Else nobody is shown any.

use postrider_tests::documents;
use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform};
use serde_json::Value;

const NEVER: u32 = 86_400;
const WORDS: &str = "Hello,\r\n\r\ncould you please send us a quote for what is in the attached file?\r\n";

async fn deliver(platform: &Platform, office: &Office, number: usize, files: &[(&str, &[u8])]) {
    platform.sandbox().deliver(&office.address, documents::mail_with(number, &office.address, WORDS, files)).await;
    office.poll().await;
}

fn quote_of(quotes: &[Value], number: usize) -> &Value {
    let id = format!("document-{number}@documents.example");
    quotes.iter().find(|quote| quote["mail"]["rfc_message_id"] == id.as_str()).expect("the mail's quote")
}

fn reason(quote: &Value) -> &str {
    quote["reason"].as_str().unwrap_or_default()
}

/// A picture that is nothing but large.
fn large() -> Vec<u8> {
    let mut png = documents::document("28-sketch.png").content;
    png.resize(6 << 20, 0);
    png
}

/// How many pictures the model was shown with the mails so far, the oldest first.
async fn shown(platform: &Platform) -> Vec<usize> {
    let served = platform.sandbox().client().llm().await.expect("the model's log");
    served.iter().map(|question| question.pictures).collect()
}

#[tokio::test]
async fn a_model_that_sees_reads_pictures_and_a_person_compares() {
    let platform = Platform::with(DatabaseKind::Sqlite).setting("OPENAI_MODEL_SEES", &"yes").start().await;
    let office = platform.workshop(NEVER).await;
    let (photo, sketch) = (documents::document("27-photo.jpg").content, documents::document("28-sketch.png").content);
    deliver(&platform, &office, 0, &[("photo.jpg", &photo)]).await;
    office.settled_quotes(1).await;
    deliver(&platform, &office, 1, &[("sketch.png", &sketch)]).await;
    office.settled_quotes(2).await;
    deliver(&platform, &office, 2, &[("large.png", &large())]).await;
    office.settled_quotes(3).await;
    let many: Vec<Vec<u8>> = (0..6_u8).map(|at| [sketch.as_slice(), &[at]].concat()).collect();
    let names: Vec<String> = (0..6).map(|at| format!("{at}.png")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(many.iter().map(Vec::as_slice)).collect();
    deliver(&platform, &office, 3, &files).await;
    let quotes = office.settled_quotes(4).await;

    for number in [0, 1] {
        let quote = quote_of(&quotes, number);
        assert_eq!(quote["state"], "needs_review", "{quote:#}");
        assert!(reason(quote).contains("it was read from a picture"), "{quote:#}");
        let lines = quote["lines"].as_array().unwrap();
        assert_eq!(lines.len(), 1, "{quote:#}");
        assert_eq!((&lines[0]["sku"], &lines[0]["quantity"]), (&"BANNER".into(), &"5".into()), "{quote:#}");
        assert!(!reason(quote).contains("was not read"), "{quote:#}");
    }
    let told = "the picture large.png was not read: it has 6 MiB, and at most 5 are shown to the model";
    assert!(reason(quote_of(&quotes, 2)).contains(told), "{:#}", quote_of(&quotes, 2));
    let told = "the picture 5.png was not read: at most 5 pictures of a mail are shown to the model";
    assert!(reason(quote_of(&quotes, 3)).contains(told), "{:#}", quote_of(&quotes, 3));
    assert_eq!(shown(&platform).await, [1, 1, 0, 5]);
    platform.finish().await;
}

#[tokio::test]
async fn a_model_that_does_not_see_is_shown_none() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let photo = documents::document("27-photo.jpg").content;
    deliver(&platform, &office, 0, &[("photo.jpg", &photo)]).await;
    let quotes = office.settled_quotes(1).await;
    assert!(reason(&quotes[0]).contains("the picture photo.jpg was not read"), "{:#}", quotes[0]);
    assert_eq!(quotes[0]["lines"].as_array().map(Vec::len), Some(0), "{:#}", quotes[0]);
    assert_eq!(shown(&platform).await, [0]);
    platform.finish().await;
}
