use super::super::Mail;
use super::{Author, is_same_mailbox, is_unread};

const SHOP: &str = "angebot@lindner.example";

/// A first mail with these headers, and what they say of its author.
fn first(headers: &str) -> Author {
    read(&format!("From: Anna <anna@example.org>\nSubject: Anfrage\n{headers}"))
}

/// The same, in answer to one of ours.
fn reply(headers: &str) -> Author {
    first(&format!("In-Reply-To: <ours@lindner.example>\n{headers}"))
}

/// What the form of a web page sends: the customer is in its Reply-To.
fn form(headers: &str) -> Author {
    read(&format!("From: Web <no-reply@site.example>\nReply-To: Anna <anna@example.org>\nSubject: Anfrage\n{headers}"))
}

fn read(headers: &str) -> Author {
    let raw = format!("To: {SHOP}\n{headers}\n\n3 Banner bitte\n").replace("\n\n\n", "\n\n").replace('\n', "\r\n");
    Mail::parse(raw.as_bytes()).author(SHOP)
}

fn is_machine(author: Author) -> bool {
    matches!(author, Author::Machine(_))
}

fn is_doubtful(author: Author) -> bool {
    matches!(author, Author::Doubtful(_))
}

#[test]
fn what_programs_answer_or_report_is_never_answered_however_it_came() {
    for header in [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: Auto-Replied (vacation); owner-email=\"a@b.example\"",
        "Auto-Submitted: (a comment) auto-notified; x=y",
        "Auto-Submitted: auto-whatever-comes",
        "Precedence: auto_reply",
        "X-Precedence: auto-reply",
        "X-Autoreply: yes",
        "X-Autorespond: vacation",
        "X-MS-Exchange-Inbox-Rules-Loop: anna@example.org",
        "X-Loop: yes",
        "X-Failed-Recipients: nobody@example.net",
        "X-Postrider-Message: 01975c5e-0000-7000-8000-000000000001",
        "List-Id: News <news.example.net>",
        "List-Post: <mailto:all@lists.example.net>",
        "Mailing-List: list friends@lists.example.net; contact friends-owner@lists.example.net",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=x",
        "Content-Type: multipart/report; report-type=\"feedback-report\"; boundary=x",
        "Content-Type: message/delivery-status",
        "Content-Type: text/calendar; method=REPLY; charset=utf-8",
    ] {
        for author in [first(header), reply(header), form(header)] {
            assert!(is_machine(author), "{header}: {author:?}");
        }
    }
    for sender in ["MAILER-DAEMON@mx.example", "postmaster@mx.example", "bounces+17-shop=lindner.example@news.example"]
    {
        assert!(is_machine(read(&format!("From: <{sender}>\nSubject: x"))), "{sender}");
    }
    for sender in ["friends-bounces@lists.example", "owner-friends@lists.example"] {
        assert!(is_machine(read(&format!("From: <{sender}>\nSubject: x\nPrecedence: list"))), "{sender}");
    }
}

#[test]
fn a_person_whose_address_looks_like_that_of_a_mail_system_is_heard() {
    for sender in [
        "bounce-castles@example.org",
        "Owner-Operator@example.org",
        "shop-owner@example.org",
        "friends-bounces@lists.example",
    ] {
        let author = read(&format!("From: <{sender}>\nSubject: Anfrage"));
        assert!(is_doubtful(author), "{sender}: {author:?}");
    }
}

#[test]
fn what_programs_make_is_not_answered_unless_a_person_filled_in_a_form() {
    for header in [
        "Auto-Submitted: auto-generated",
        "Return-Path: <>",
        "Return-Path: < >",
        "Precedence: bulk",
        "Precedence: junk",
    ] {
        assert!(is_machine(first(header)), "{header}");
        assert!(is_machine(reply(header)), "{header}");
        assert!(is_doubtful(form(header)), "{header}");
        let answer = format!("References: <ours@lindner.example>\n{header}");
        assert!(is_machine(form(&answer)), "a ticket system answers: {header}");
    }
}

#[test]
fn a_person_is_answered() {
    for header in [
        "Auto-Submitted: no",
        "Auto-Submitted: No (typed by hand)",
        "Precedence: first-class",
        "X-Autoreply: no",
        "X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply",
        "X-Loop: friends@lists.example.net",
        "Feedback-ID: 1.eu-west-1.abc:AmazonSES",
        "Return-Path: <anna@example.org>",
        "Content-Type: text/calendar; method=REQUEST",
        "Subject: Re: Automatische Antwort: Anfrage",
        "Subject: Automatische Schiebetür, Beschriftung",
    ] {
        assert_eq!(first(header), Author::Person, "{header}");
        assert_eq!(reply(header), Author::Person, "{header}");
    }
    // Services that send what was typed into a form, as they do with all their mail.
    for header in [
        "Feedback-ID: forms",
        "List-Unsubscribe: <https://forms.example/stop>",
        "List-Unsubscribe: <https://forms.example/stop>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "X-Auto-Response-Suppress: All",
        "X-Mailer: PHPMailer",
    ] {
        assert_eq!(form(header), Author::Person, "{header}");
    }
}

#[test]
fn a_mere_hint_leaves_the_decision_to_a_person() {
    for header in ["X-Auto-Response-Suppress: All", "List-Unsubscribe: <https://shop.example/stop>"] {
        assert!(is_doubtful(first(header)), "{header}");
    }
}

#[test]
fn a_note_of_absence_needs_more_than_its_subject() {
    for subject in [
        "Automatic reply: Anfrage",
        "=?UTF-8?Q?R=C3=A9ponse_automatique_=3A_devis?=",
        "Automatische Antwort: Angebot",
        "Respuesta automática: presupuesto",
        "Risposta automatica: preventivo",
        "Automatisch antwoord: offerte",
        "स्वचालित उत्तर: कोटेशन",
        "ಸ್ವಯಂಚಾಲಿತ ಪ್ರತ್ಯುತ್ತರ: ದರಪಟ್ಟಿ",
        "தானியங்கு பதில்: விலைப்புள்ளி",
        "ਆਟੋਮੈਟਿਕ ਜਵਾਬ: ਕੋਟੇਸ਼ਨ",
        "Resposta automática: orçamento",
        "Odpowiedź automatyczna: oferta",
        "Autosvar: offert",
        "[Extern] Out of Office: quote",
    ] {
        let from = format!("From: <a@example.org>\nSubject: {subject}");
        assert!(is_doubtful(read(&from)), "{subject}");
        assert!(is_machine(read(&format!("{from}\nIn-Reply-To: <ours@lindner.example>"))), "{subject}");
        assert!(is_machine(read(&format!("{from}\nX-Auto-Response-Suppress: All"))), "{subject}");
    }
}

/// A group of the house, such as angebot@, hands its mail on to a member's mailbox.
#[test]
fn a_list_of_our_own_house_brings_requests() {
    let group = "Precedence: list\nMailing-list: list angebot@lindner.example; contact angebot+owners@lindner.example\n\
        List-ID: <angebot.lindner.example>\nList-Post: <https://groups.example/post>, <mailto:angebot@lindner.example>\n\
        List-Unsubscribe: <mailto:x@googlegroups.com>";
    assert_eq!(first(group), Author::Person);
    let rewritten = format!(
        "From: \"'Anna' via Angebot\" <angebot@lindner.example>\nReply-To: Anna <anna@example.org>\nSubject: Anfrage\n{group}"
    );
    assert_eq!(read(&rewritten), Author::Person);
    assert!(is_machine(first("List-Id: <lindner.example.evil.net>")));
    assert!(is_machine(first("List-Id: <evillindner.example>")));
    let raw = b"From: a@b.example\r\nList-Id: <all.gmail.com>\r\n\r\nx";
    assert!(is_machine(Mail::parse(raw).author("shop@gmail.com")), "gmail.com is nobody's house");
}

#[test]
fn mail_in_our_own_name_is_not_answered_to_ourselves() {
    assert!(is_machine(read("From: Shop <Angebot@Lindner.example>")));
    assert!(is_machine(read("From: Shop <angebot+forms@lindner.example>")));
    assert!(is_machine(read("From: <angebot@lindner.example>\nReply-To: <angebot@lindner.example>")));
    let form = "From: <angebot@lindner.example>\nReply-To: <anna@example.org>\nSubject: Anfrage";
    assert!(is_doubtful(read(form)));
    let turned = "From: <anna@example.org>\nReply-To: <angebot+1@lindner.example>\nSubject: Anfrage";
    assert!(is_doubtful(read(turned)));
    let mail = Mail::parse(format!("{turned}\n\nx").replace('\n', "\r\n").as_bytes());
    assert_eq!(mail.answer_to(SHOP), Some("anna@example.org"));
    assert!(is_same_mailbox("Sho.p+x@gmail.com", "shop@googlemail.com"));
}

#[test]
fn addresses_that_nobody_reads_are_known_in_many_forms() {
    for address in [
        "noreply@a.example",
        "No-Reply@a.example",
        "no.reply@a.example",
        "do_not_reply@a.example",
        "orders-noreply@a.example",
        "noreply-forms@a.example",
        "ne-pas-repondre@a.example",
        "nicht.antworten@a.example",
        "no_responder@a.example",
    ] {
        assert!(is_unread(address), "{address}");
    }
    for address in ["reply@a.example", "nora.eply@a.example", "anna@noreply.example", "info@a.example"] {
        assert!(!is_unread(address), "{address}");
    }
}

#[test]
fn endless_headers_are_read_so_far() {
    let many = "X-Filler: yes\n".repeat(50_000);
    assert_eq!(first(many.trim_end()), Author::Person);
    let lists = "List-Id: <angebot.lindner.example>\n".repeat(5_000);
    assert_eq!(first(lists.trim_end()), Author::Person);
    let brackets = format!("Auto-Submitted: {}auto-replied", "(".repeat(100_000));
    assert_eq!(first(&brackets), Author::Person, "all of it is a comment");
}
