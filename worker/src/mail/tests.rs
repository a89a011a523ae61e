use std::fmt::Write as _;

use super::{Author, Mail, split};

fn mail(text: &str) -> Mail {
    Mail::parse(text.replace('\n', "\r\n").as_bytes())
}

const SHOP: &str = "shop@example.com";
const PLAIN: &str = "From: Anna <Anna@Example.ORG>
To: shop@example.com
Subject: =?UTF-8?Q?Anfrage_T=C3=BCr?=
Date: Tue, 3 Nov 2026 18:20:12 +0100
Message-ID: <a1@example.org>
In-Reply-To: <r0@example.com>
References: <r-1@example.com> <r0@example.com>

Guten Tag
";

#[test]
fn the_headers_that_matter_are_read() {
    let read = mail(PLAIN);
    assert_eq!(read.from_address.as_deref(), Some("Anna@example.org"));
    assert_eq!(read.answer_to(SHOP), read.from_address.as_deref());
    assert_eq!(read.subject, "Anfrage Tür");
    assert_eq!(read.message_id.as_deref(), Some("a1@example.org"));
    assert_eq!(read.in_reply_to.as_deref(), Some("r0@example.com"));
    assert_eq!(read.references, ["r-1@example.com", "r0@example.com"]);
    assert_eq!(read.sent_at.unwrap().to_rfc3339(), "2026-11-03T17:20:12+00:00");
    assert!(read.is_reply() && read.author(SHOP) == Author::Person);
}

#[test]
fn an_answer_goes_to_one_valid_address_only() {
    let read = mail(&PLAIN.replace("To: shop", "Reply-To: b@example.net, c@example.net\nTo: shop"));
    assert_eq!(read.answer_to(SHOP), Some("b@example.net"));
    let broken = mail(&PLAIN.replace("Anna <Anna@Example.ORG>", "undisclosed"));
    assert_eq!(broken.answer_to(SHOP), None);
    let sly = mail(&PLAIN.replace("Anna@Example.ORG", "a@example.org,b@example.net"));
    assert_ne!(sly.answer_to(SHOP), Some("a@example.org,b@example.net"));
}

#[test]
fn html_becomes_the_text_a_reader_sees() {
    let head = PLAIN.trim_end().trim_end_matches("Guten Tag").trim_end();
    let read = mail(&format!(
        "{head}\nContent-Type: text/html; charset=utf-8\n\n<html><head><style>p{{x:1}}</style><script>var a=\"9\"</script></head>\
         <body><!-- 50 signs --><p>Hello <b>you</b></p><table><tr><td>Banner</td><td>3,00&nbsp;m &times; 2 m</td></tr>\
         <tr><td>Sign</td><td>4</td></tr></table></body></html>\n"
    ));
    assert_eq!(read.text, "Hello you\n\nBanner 3,00 m × 2 m\nSign 4");
}

#[test]
fn hostile_bytes_are_read_as_far_as_they_go() {
    for raw in [&b""[..], b"\x00\xff\xfe", b"\r\n\r\n", b":::\r\n:\r\n"] {
        let read = Mail::parse(raw);
        assert!(read.unreadable.is_some(), "{raw:?} {read:?}");
    }
    let begun = std::time::Instant::now();
    let mut deep = String::from("From: a@example.org\n");
    for level in 0..2_000 {
        let _ = write!(deep, "Content-Type: multipart/mixed; boundary=\"b{level}\"\n\n--b{level}\n");
    }
    deep.push_str("Content-Type: text/plain\n\nhidden text\n");
    assert_eq!(mail(&deep).from_address.as_deref(), Some("a@example.org"));
    assert!(begun.elapsed().as_secs() < 5, "nested parts took {:?}", begun.elapsed());
    let tags = format!("From: a@example.org\nContent-Type: text/html\n\n{}please quote 2", "<div>".repeat(50_000));
    assert!(mail(&tags).text.len() < 1_000);
    assert!(begun.elapsed().as_secs() < 5, "nested tags took {:?}", begun.elapsed());
    let long = format!("From: a@example.org\n\n{}", "wort ".repeat(100_000));
    assert_eq!(mail(&long).text.chars().count(), super::MAX_TEXT_CHARS);
}

#[test]
fn only_the_new_part_of_a_reply_counts() {
    let german = "Danke, passt.\n\nAm 02.11.2026 um 09:14 schrieb Jürgen Pfeiffer:\n> drei Banner\n> 4 m breit";
    assert_eq!(split(german, true).new, "Danke, passt.");
    assert_eq!(split(german, true).quoted, "> drei Banner\n> 4 m breit");
    let below = "On Tue, 3 Nov 2026 at 10:00, Shop wrote:\n> your quote\nPlease send 5 more.";
    assert_eq!(split(below, true).new, "Please send 5 more.");
    let outlook =
        "Bestellt.\n\nVon: Shop <shop@example.com>\nGesendet: Montag\nAn: Anna\nBetreff: Angebot\n\nalte Worte";
    assert_eq!(split(outlook, true).new, "Bestellt.");
    let forwarded =
        "price please\n\n---------- Forwarded message ---------\nFrom: S\nDate: x\nSubject: y\nTo: z\n\n2 pieces";
    assert_eq!(split(forwarded, true).new, forwarded);
    let quote_only = "> 3 Banner";
    assert_eq!(split(quote_only, true).new, quote_only);
    assert_eq!(split(german, false).new, german, "a first mail quotes nothing of ours");
}
