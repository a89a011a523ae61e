//! Mail that is broken, huge or malicious: recorded with a reason, and nobody gets a wrong price.

use std::collections::HashMap;

use postrider_tests::{Platform, mails};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;

/// What each mail may lead to at most: the sender, and the right total.
fn right_totals() -> HashMap<&'static str, &'static str> {
    HashMap::from([
        ("ulla.brehme@blumen-brehme.example", "95.20"),
        ("bernd@gross-und-soehne.example", "449.82"),
        ("mia@rahmen-und-mehr.example", "658.07"),
        ("nested@matroschka.example", "224.91"),
        ("orga@stadtfest-leutzsch.example", "470.05"),
        ("evil@markup.example", "224.91"),
        ("savvy@discount-hunter.example", "224.91"),
    ])
}

#[tokio::test]
async fn every_hostile_mail_is_recorded_and_none_gets_a_wrong_price() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let hostile = mails::mails("hostile");
    for mail in &hostile {
        platform.sandbox().deliver(&office.address, mail.raw.clone()).await;
    }
    platform.sandbox().deliver(&office.address, mails::mail("27-es-tarjetas-movil.eml").raw).await;
    office.poll().await;
    platform.no_jobs_left().await;

    let inbound = office.mails().await;
    assert_eq!(inbound.len(), hostile.len() + 1, "{inbound:#?}");
    for mail in &inbound {
        let state = mail["state"].as_str().unwrap();
        assert!(matches!(state, "extracted" | "ignored" | "failed"), "{mail:#}");
        assert!(state == "extracted" || mail["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{mail:#}");
    }
    let totals = right_totals();
    for quote in office.quotes().await {
        if quote["state"] == "needs_review" {
            assert!(quote["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{quote:#}");
            continue;
        }
        let customer = quote["customer_address"].as_str().unwrap_or_default();
        let right = if customer == "ikerzabala.fotografia@correo.example" { "130.90" } else { totals[customer] };
        assert_eq!(quote["total"], right, "{quote:#}");
    }
    for reply in platform.sandbox().accepted().await {
        assert_eq!(reply.rcpt_to.len(), 1, "{reply:?}");
        assert!(!reply.rcpt_to[0].contains(char::is_whitespace), "{reply:?}");
    }
    // These are plain requests in bad wrapping: they are served.
    let served: Vec<String> = platform.sandbox().accepted().await.into_iter().flat_map(|reply| reply.rcpt_to).collect();
    for customer in
        ["ulla.brehme@blumen-brehme.example", "orga@stadtfest-leutzsch.example", "ikerzabala.fotografia@correo.example"]
    {
        assert!(served.iter().any(|address| address == customer), "{customer} got no quote: {served:?}");
    }
    assert!(platform.processes().all(postrider_tests::Process::is_running));
    platform.finish().await;
}

#[tokio::test]
async fn a_mail_of_thirty_megabytes_stops_nothing() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let mut big = b"From: Big <big@posters.example>\r\nTo: angebot@lindner-schilder.example\r\nSubject: 3 Roll-ups\r\n\
        Message-ID: <big-1@posters.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\nBitte ein Angebot: 3 Roll-ups.\r\n--b\r\n\
        Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        .to_vec();
    let line = [b"QUFB".repeat(19), b"\r\n".to_vec()].concat();
    big.extend(line.repeat(30 * 1024 * 1024 / line.len()));
    big.extend_from_slice(b"\r\n--b--\r\n");
    platform.sandbox().deliver(&office.address, big).await;
    platform.sandbox().deliver(&office.address, mails::mail("22-sv-skyltar.eml").raw).await;
    office.poll().await;
    platform.no_jobs_left().await;
    let inbound = office.mails().await;
    assert_eq!(inbound.len(), 2, "{inbound:#?}");
    let big =
        inbound.iter().find(|mail| mail["from_address"] == "big@posters.example").expect("the big mail is recorded");
    let served = big["state"] == "extracted" || big["reason"].as_str().is_some_and(|reason| !reason.is_empty());
    assert!(served, "{big:#}");
    let quotes = office.quotes().await;
    assert!(
        quotes
            .iter()
            .any(|quote| quote["customer_address"] == "asa@lindstroms-keramik.example" && quote["state"] == "sent")
    );
    platform.finish().await;
}

#[tokio::test]
async fn a_formula_that_fails_for_this_request_goes_to_a_person() {
    let platform = Platform::start().await;
    let mut product = mails::products().into_iter().find(|product| product["sku"] == "ROLLUP").unwrap();
    // Fine for every quantity but the one that is asked for.
    product["formula"] = json!("10000 / abs(quantity * quantity - 529)");
    let settings = json!({ "poll_interval_seconds": NEVER });
    let office = platform.office("angebot@lindner-schilder.example", &mails::workshop(), &[product], settings).await;
    let raw = b"From: a@b.example\r\nTo: angebot@lindner-schilder.example\r\nMessage-ID: <twenty-three@b.example>\r\n\
        Subject: Anfrage\r\n\r\nBitte ein Angebot: 23 Roll-ups.\r\n";
    platform.sandbox().deliver(&office.address, raw.to_vec()).await;
    office.poll().await;
    platform.no_jobs_left().await;
    let quote = office.quotes().await.remove(0);
    assert_eq!(quote["state"], "needs_review", "{quote:#}");
    assert!(quote["reason"].as_str().is_some_and(|reason| reason.contains("zero")), "{quote:#}");
    assert_eq!(quote["total"], Value::Null);
    platform.finish().await;
}

/// What is made to confuse us: each ends in a recorded state, and nobody gets a mail who did not ask for it.
#[tokio::test]
async fn mails_made_to_confuse_end_in_a_recorded_state() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let own = &office.address;
    let ask = "Bitte ein Angebot: 2 Roll-ups.\r\n";
    let mail = |name: &str, headers: &str, body: &str| {
        format!("To: {own}\r\nMessage-ID: <{name}@confusing.example>\r\n{headers}\r\n{body}")
    };
    let from = |name: &str| format!("From: {name}@kunden.example\r\nSubject: Anfrage\r\n");
    let references = (0..10_000).fold(String::new(), |ids, at| format!("{ids}\r\n <{at}.{at}@threads.example>"));
    let files = (0..500).fold(String::new(), |files, at| {
        format!("{files}--b\r\nContent-Type: text/csv; name=\"{at}.csv\"\r\nContent-Disposition: attachment\r\n\r\nnote;{at}\r\n")
    });
    let parts = format!("--b\r\nContent-Type: text/plain\r\n\r\n{ask}{files}--b--\r\n");
    for raw in [
        mail("forged", &format!("From: Chef <{own}>\r\nSubject: Anfrage\r\n"), ask),
        mail("forged-tag", &format!("From: <{}>\r\nSubject: Anfrage\r\n", own.replace('@', "+x@")), ask),
        mail("files", &format!("{}Content-Type: multipart/mixed; boundary=b\r\n", from("files")), &parts),
        mail("thread", &format!("{}References:{references}\r\n", from("thread")), ask),
        mail("group", &format!("{}Reply-To: Team: a@group.example, b@group.example;\r\n", from("group")), ask),
        mail(
            "header",
            "From: =?UTF-8?Q?A=0D=0ABcc:_victim@evil.example?= <header@kunden.example>\r\n\
             Subject: =?UTF-8?Q?Anfrage=0D=0ABcc:_victim@evil.example=0D=0A=0D=0AHi?=\r\n\
             In-Reply-To: <a@b.example>>\r\n",
            ask,
        ),
        mail("date", &format!("{}Date: Fri, 31 Feb 99999 99:99:99 +9999\r\n", from("date")), ask),
        mail("past", &format!("{}Date: Mon, 1 Jan 1900 00:00:00 +0000\r\n", from("past")), ask),
        mail("future", &format!("{}Date: Thu, 1 Jan 2400 00:00:00 +0000\r\n", from("future")), ask),
    ] {
        platform.sandbox().deliver(own, raw.into_bytes()).await;
    }
    office.poll().await;
    platform.no_jobs_left().await;

    let inbound = office.mails().await;
    assert_eq!(inbound.len(), 9, "{inbound:#?}");
    let shown = |name: &str| {
        let id = format!("{name}@confusing.example");
        inbound.iter().find(|mail| mail["rfc_message_id"] == id.as_str()).unwrap_or_else(|| panic!("{name} is missing"))
    };
    for name in ["forged", "forged-tag"] {
        assert_eq!(shown(name)["state"], "ignored", "{:#}", shown(name));
        assert!(
            shown(name)["reason"].as_str().is_some_and(|reason| reason.contains("own address")),
            "{:#}",
            shown(name)
        );
    }
    for name in ["date", "past", "future"] {
        assert_eq!(shown(name)["sent_at"], Value::Null, "{:#}", shown(name));
    }
    let quotes = office.quotes().await;
    let files = quotes.iter().find(|quote| quote["customer_address"] == "files@kunden.example").expect("it is read");
    assert_eq!(files["state"], "needs_review", "{files:#}");
    assert!(files["reason"].as_str().is_some_and(|reason| reason.contains("480")), "{files:#}");

    let accepted = platform.sandbox().accepted().await;
    let mut to: Vec<&str> = accepted.iter().flat_map(|reply| reply.rcpt_to.iter().map(String::as_str)).collect();
    to.sort_unstable();
    let customers = [
        "date@kunden.example",
        "future@kunden.example",
        "header@kunden.example",
        "past@kunden.example",
        "thread@kunden.example",
    ];
    assert_eq!(
        to.iter().filter(|address| !address.ends_with("@group.example")).copied().collect::<Vec<_>>(),
        customers
    );
    assert!(to.iter().filter(|address| address.ends_with("@group.example")).count() <= 1, "{to:?}");
    for reply in &accepted {
        let raw = String::from_utf8_lossy(&platform.sandbox().raw(reply).await).into_owned();
        let head = raw.split("\r\n\r\n").next().unwrap().to_lowercase();
        assert!(!head.lines().any(|line| line.starts_with("bcc") || line.starts_with("cc")), "{head}");
        assert!(head.len() < 100_000, "the header of the reply has {} bytes", head.len());
    }
    platform.finish().await;
}
