//! Machines that write mail: none is answered, whatever its text says; circles of answers end; and requests that came through a
//! machine are not lost.

use mail_parser::MessageParser;
use postrider_tests::platform::Office;
use postrider_tests::{Platform, mails};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;

/// The Message-ID of a raw mail.
fn id_of(raw: &[u8]) -> String {
    MessageParser::default().parse(raw).unwrap().message_id().unwrap().to_owned()
}

async fn mail_with_id(office: &Office, id: &str) -> Value {
    let mails = office.mails().await;
    mails.into_iter().find(|mail| mail["rfc_message_id"] == id).unwrap_or_else(|| panic!("{id} was not recorded"))
}

#[tokio::test]
async fn mail_that_asks_for_no_new_quote_is_left_alone_by_kind() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().deliver(&office.address, mails::mail("01-de-banner-vereinsfest.eml").raw).await;
    office.poll().await;
    platform.sandbox().accepted_at_least(1).await;
    platform.no_jobs_left().await;
    let others = mails::others();
    assert_eq!(others.len(), mails::mails("others").len(), "each has its expectation");
    for (mail, _) in &others {
        platform.sandbox().deliver(&office.address, mail.raw.clone()).await;
    }
    office.poll().await;
    platform.no_jobs_left().await;
    let mut wrong = Vec::new();
    for (mail, expected) in &others {
        let shown = mail_with_id(&office, &id_of(&mail.raw)).await;
        let ends_well = shown["intent"] == expected.intent.as_str()
            && shown["reason"].as_str().is_some_and(|reason| !reason.is_empty())
            && (expected.outcome != "ignored" || shown["state"] == "ignored");
        if !ends_well {
            wrong.push(format!("{}: {} {} {}", mail.name, shown["state"], shown["intent"], shown["reason"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(platform.sandbox().accepted().await.len(), 1, "a machine got an answer");
    assert_eq!(office.quotes().await.len(), 1);
    platform.finish().await;
}

#[tokio::test]
async fn requests_that_come_through_a_form_are_not_lost() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let form = |name: &str, from: &str, headers: &str| {
        format!(
            "From: Website <{from}>\r\nReply-To: Anna <{name}@kunden.example>\r\nTo: {}\r\nSubject: Kontaktformular\r\n\
             Message-ID: <{name}@site.example>\r\n{headers}\r\nBitte ein Angebot: 2 Roll-ups.\r\n",
            office.address
        )
    };
    let own = office.address.clone();
    for raw in [
        form("plain", "no-reply@site.example", ""),
        form("service", "noreply@forms.example", "List-Unsubscribe: <https://forms.example/x>\r\nFeedback-ID: a:b\r\n"),
        form("generated", "wordpress@site.example", "Auto-Submitted: auto-generated\r\nReturn-Path: <>\r\n"),
        form("own", &own, ""),
    ] {
        platform.sandbox().deliver(&office.address, raw.into_bytes()).await;
    }
    let unanswerable = format!(
        "From: <no-reply@shop.example>\r\nTo: {own}\r\nSubject: Anfrage\r\nMessage-ID: <unread@shop.example>\r\n\r\n\
         Bitte ein Angebot: 2 Roll-ups.\r\n"
    );
    platform.sandbox().deliver(&office.address, unanswerable.into_bytes()).await;
    office.poll().await;
    platform.no_jobs_left().await;
    let mut to: Vec<String> = platform.sandbox().accepted().await.into_iter().flat_map(|reply| reply.rcpt_to).collect();
    to.sort();
    assert_eq!(to, ["plain@kunden.example", "service@kunden.example"]);
    for (name, why) in [("generated", "a machine may have written"), ("own", "own name")] {
        let address = format!("{name}@kunden.example");
        let quotes = office.quotes().await;
        let quote = quotes.iter().find(|quote| quote["customer_address"] == address.as_str());
        let quote = quote.unwrap_or_else(|| panic!("{address} is lost: {quotes:#?}"));
        assert_eq!(quote["state"], "needs_review", "{quote:#}");
        assert!(quote["reason"].as_str().is_some_and(|reason| reason.contains(why)), "{quote:#}");
        assert_eq!(quote["lines"].as_array().map(Vec::len), Some(1), "{quote:#}");
    }
    platform.finish().await;
}

#[tokio::test]
async fn an_automaton_without_any_header_is_cut_off_and_others_are_served() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let robot = |round: usize| {
        format!(
            "From: Bot <bot+{round}@loop.example>\r\nTo: {}\r\nSubject: Anfrage {round}\r\nMessage-ID: <loop-{round}@loop.example>\r\n\r\n\
             Bitte ein Angebot: {} Roll-ups.\r\n",
            office.address,
            round + 2
        )
    };
    // It answers whatever it gets, so it stops when it gets nothing.
    let mut rounds = 0;
    while platform.sandbox().accepted().await.len() == rounds {
        platform.sandbox().deliver(&office.address, robot(rounds).into_bytes()).await;
        office.poll().await;
        platform.no_jobs_left().await;
        rounds += 1;
        assert!(rounds < 20, "the circle goes on");
    }
    assert_eq!(platform.sandbox().accepted().await.len(), 10);
    platform.deliver_request(&office, "carla").await;
    office.poll().await;
    let quotes = office.settled_quotes(rounds + 1).await;
    let stopped: Vec<&Value> = quotes.iter().filter(|quote| quote["state"] == "needs_review").collect();
    assert_eq!(stopped.len(), 1, "{quotes:#?}");
    let reason = stopped[0]["reason"].as_str().unwrap();
    assert!(reason.contains("10 automatic replies within 24 hours"), "{reason}");
    let served = platform.sandbox().accepted().await;
    assert_eq!(served.last().unwrap().rcpt_to, ["carla@kunden.example"]);

    // A person may still send it, and then it does not say that it is automatic.
    let id = stopped[0]["id"].as_str().unwrap();
    office.api.post(&format!("/v1/quotes/{id}/approve"), &json!({})).await;
    let approved = platform.sandbox().accepted_at_least(12).await.pop().unwrap();
    let raw = String::from_utf8_lossy(&platform.sandbox().raw(&approved).await).into_owned();
    assert!(!raw.contains("Auto-Submitted") && raw.contains("X-Postrider-Message"), "{raw:.600}");
    platform.no_jobs_left().await;
    platform.finish().await;
}

#[tokio::test]
async fn two_offices_do_not_answer_each_others_quotes() {
    let platform = Platform::start().await;
    let ours = platform.workshop(NEVER).await;
    let settings = json!({ "poll_interval_seconds": NEVER });
    let other = platform.office("verkauf@anderer.example", &mails::workshop(), &mails::products(), settings).await;
    let request = format!(
        "From: Verkauf <{}>\r\nTo: {}\r\nSubject: Anfrage\r\nMessage-ID: <first@anderer.example>\r\n\r\nBitte ein Angebot: 2 Roll-ups.\r\n",
        other.address, ours.address
    );
    platform.sandbox().deliver(&ours.address, request.into_bytes()).await;
    ours.poll().await;
    let reply = platform.sandbox().accepted_at_least(1).await.remove(0);
    let raw = String::from_utf8(platform.sandbox().raw(&reply).await.to_vec()).unwrap();
    // As it is; and as a gateway hands it on: with a name and an id of its own, without the sign of automatic mail.
    let rewritten = raw
        .replace(&format!("<{}>", ours.address), "<gateway@anderer.example>")
        .replace(reply.message_id.as_deref().unwrap(), "gateway-1@anderer.example")
        .replace("Auto-Submitted: auto-replied\r\n", "");
    assert_ne!(rewritten, raw);
    for (office, raw) in [(&other, raw.clone()), (&other, rewritten), (&ours, raw)] {
        platform.sandbox().deliver(&office.address, raw.into_bytes()).await;
    }
    other.poll().await;
    ours.poll().await;
    platform.no_jobs_left().await;
    let mut seen = other.mails().await;
    seen.extend(ours.mails().await.into_iter().filter(|mail| mail["rfc_message_id"] != "first@anderer.example"));
    assert_eq!(seen.len(), 3, "{seen:#?}");
    for mail in &seen {
        assert_eq!(mail["state"], "ignored", "{mail:#}");
        let reason = mail["reason"].as_str().unwrap();
        assert!(reason.contains("Postrider") || reason.contains("ours"), "{reason}");
    }
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}
