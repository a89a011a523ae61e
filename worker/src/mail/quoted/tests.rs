use super::super::{MAX_TEXT_CHARS, Mail};
use super::split;

/// The new part of a reply that is read from raw bytes, as it is in practice.
fn read(body: &str) -> super::Split {
    read_as("text/plain", body)
}

fn read_as(kind: &str, body: &str) -> super::Split {
    let head = format!("From: a@b.example\nIn-Reply-To: <x@y.example>\nContent-Type: {kind}; charset=utf-8\n\n");
    let mail = Mail::parse(format!("{head}{body}").replace('\n', "\r\n").as_bytes());
    split(&mail.text, mail.is_reply())
}

#[test]
fn attributions_of_many_languages_begin_a_quote() {
    for attribution in [
        "On Tue, 3 Nov 2026 at 10:00, Shop <shop@example.com> wrote:",
        "On Tue, Nov 3, 2026 at 10:00 AM Lindner Schilder und Lichtwerbung\n<shop@example.com> wrote:",
        "Am Di., 3. Nov. 2026 um 10:00 Uhr schrieb Shop <shop@example.com>:",
        "Am 03.11.2026 um 10:00 schrieb Shop:",
        "Shop <shop@example.com> schrieb am Di., 3. Nov. 2026,\n10:00:",
        "Le mar. 3 nov. 2026 à 10:00, Shop <shop@example.com> a écrit :",
        "El mar, 3 nov 2026 a las 10:00, Shop (<shop@example.com>) escribió:",
        "Il giorno mar 3 nov 2026 alle ore 10:00 Shop <shop@example.com>\nha scritto:",
        "Op di 3 nov 2026 om 10:00 schreef Shop <shop@example.com>:",
        "मंगल, 3 नव॰ 2026 को 10:00 बजे को Shop <shop@example.com> ने लिखा:",
        "ಮಂಗಳ, ನವೆಂ 3, 2026 ರಂದು 10:00 ರಂದು Shop <shop@example.com> ಅವರು ಬರೆದಿದ್ದಾರೆ:",
        "செவ்., 3 நவ., 2026, 10:00 அன்று, Shop <shop@example.com> எழுதியது:",
        "ਮੰਗਲ, 3 ਨਵੰ 2026 ਨੂੰ 10:00 ਵਜੇ Shop <shop@example.com> ਨੇ ਲਿਖਿਆ:",
        "Em ter., 3 de nov. de 2026 às 10:00, Shop <shop@example.com> escreveu:",
        "wt., 3 lis 2026 o 10:00 Shop <shop@example.com> napisał(a):",
        "Den tis 3 nov. 2026 kl 10:00 skrev Shop <shop@example.com>:",
        "Den tir. 3. nov. 2026 kl. 10.00 skrev Shop <shop@example.com>:",
    ] {
        for quote in ["> 3 Banner\n> 4 m", "3 Banner\n4 m"] {
            let parts = read(&format!("Ja, bitte 5 mehr.\n\n{attribution}\n\n{quote}"));
            assert_eq!(parts.new, "Ja, bitte 5 mehr.", "{attribution}");
            assert!(parts.quoted.contains("3 Banner"), "{attribution}: {parts:?}");
        }
    }
}

#[test]
fn blocks_of_headers_begin_a_quote() {
    for block in [
        "From: Shop <shop@example.com>\nSent: Tuesday, 3 November 2026 10:00\nTo: Anna\nSubject: Quote",
        "*Von:* Shop <shop@example.com>\n*Gesendet:* Dienstag, 3. November 2026\n*An:* Anna\n*Betreff:* Angebot",
        "________________________________\nVon: Shop\nGesendet: Dienstag\nAn: Anna\nBetreff: Angebot",
        "-----Ursprüngliche Nachricht-----\nVon: Shop\nGesendet: Dienstag",
        "-----Original Message-----\nFrom: Shop",
        "De : Shop <shop@example.com>\nEnvoyé : mardi 3 novembre 2026\nÀ : Anna\nObjet : Devis",
        "De: Shop\nEnviado el: martes, 3 de noviembre\nPara: Anna\nAsunto: Presupuesto",
        "Da: Shop\nInviato: martedì 3 novembre\nA: Anna\nOggetto: Preventivo",
        "Van: Shop\nVerzonden: dinsdag 3 november\nAan: Anna\nOnderwerp: Offerte",
        "प्रेषक: Shop\nभेजा गया: 3 नवंबर\nप्रति: Anna\nविषय: कोटेशन",
        "ಇಂದ: Shop\nಕಳುಹಿಸಲಾಗಿದೆ: 3 ನವೆಂಬರ್\nಗೆ: Anna\nವಿಷಯ: ದರಪಟ್ಟಿ",
        "அனுப்புநர்: Shop\nஅனுப்பியது: 3 நவம்பர்\nபெறுநர்: Anna\nபொருள்: விலை",
        "ਵੱਲੋਂ: Shop\nਭੇਜਿਆ: 3 ਨਵੰਬਰ\nਨੂੰ: Anna\nਵਿਸ਼ਾ: ਕੋਟੇਸ਼ਨ",
        "Od: Shop\nWysłano: wtorek, 3 listopada\nDo: Anna\nTemat: Oferta",
        "Från: Shop\nSkickat: den 3 november\nTill: Anna\nÄmne: Offert",
        "Fra: Shop\nSendt: 3. november\nTil: Anna\nEmne: Tilbud",
    ] {
        let parts = read(&format!("Bestellt.\n\n{block}\n\n3 Banner"));
        assert_eq!(parts.new, "Bestellt.", "{block}");
        assert!(parts.quoted.contains("3 Banner"), "{block}: {parts:?}");
    }
}

#[test]
fn answers_below_and_between_are_new() {
    let below =
        "On Tue, 3 Nov 2026 at 10:00, Shop wrote:\n> your quote\n> > my request for 3 banners\n\nPlease send 5 more.";
    assert_eq!(read(below).new, "Please send 5 more.");
    let between =
        "Hello,\n\nAm 03.11.2026 um 10:00 schrieb Shop:\n> Which width?\n3 m\n> Which height?\n1 m, please.\n\nAnna";
    assert_eq!(read(between).new, "Hello,\n\n3 m\n1 m, please.\n\nAnna");
    let forwarded =
        "price please\n\n---------- Forwarded message ---------\nFrom: S\nDate: x\nSubject: y\nTo: z\n\n2 pieces";
    assert_eq!(read(forwarded).new, forwarded);
    let quoted_forward = "Yes.\n\nOn 3 Nov 2026, Shop wrote:\n> ---------- Forwarded message ---------\n> 2 pieces";
    assert_eq!(read(quoted_forward).new, "Yes.");
}

#[test]
fn sentences_that_look_like_heads_stay() {
    for text in [
        "On Monday we need:\n3 banners\n2 flags",
        "As I wrote: please send 3 banners.",
        "Von: Halle 3\nBis: Halle 4\n\n5 Schilder",
        "To: be clear, 3 banners",
        "3 Banner\n--\n2 Schilder zu 30 cm",
    ] {
        assert_eq!(read(text).new, text);
    }
}

#[test]
fn html_says_itself_what_is_quoted() {
    let gmail = "<div dir=\"ltr\">Bitte 5 mehr.</div><br><div class=\"gmail_quote\"><div class=\"gmail_attr\">Xyz:<br></div>\
        <blockquote class=\"gmail_quote\">3 Banner<br>4 m</blockquote></div>";
    let outlook = "<div>Bitte 5 mehr.</div><hr tabindex=\"-1\"><div id=\"divRplyFwdMsg\"><b>From:</b> Shop</div><div>3 Banner</div>";
    let apple = "<body>Bitte 5 mehr.<div><br><blockquote type=\"cite\"><div>On 3 Nov, Shop wrote:</div><div>3 Banner</div></blockquote></div></body>";
    let proton = "Bitte 5 mehr.<div class=\"protonmail_quote\">Shop:<blockquote class=\"protonmail_quote\">3 Banner</blockquote></div>";
    for html in [gmail, outlook, apple, proton] {
        let parts = read_as("text/html", html);
        assert_eq!(parts.new, "Bitte 5 mehr.", "{html}");
        assert!(parts.quoted.contains("3 Banner"), "{parts:?}");
    }
    let below = "<blockquote type=\"cite\">3 Banner</blockquote><p>Bitte 5 mehr.</p>";
    assert_eq!(read_as("text/html", below).new, "Bitte 5 mehr.");
    let forwarded = "<div>Preis?</div><div class=\"gmail_quote\">---------- Forwarded message ---------<br>From: S<br><br>2 flags</div>";
    assert!(read_as("text/html", forwarded).new.contains("\n2 flags"));
}

#[test]
fn signatures_go_and_positions_stay() {
    let delimited = read("Bitte 5 Banner.\n\n-- \nAnna Berg\nTel. 0341 123456\nwww.berg.example");
    assert_eq!((delimited.new.as_str(), delimited.signature.contains("0341")), ("Bitte 5 Banner.", true));
    let closed = read(
        "Bitte 5 Banner.\n\nMit freundlichen Grüßen\nAnna Berg\n\nBerg GmbH\nMarkt 12\n04109 Leipzig\nTel. +49 341 123456",
    );
    assert_eq!(closed.new, "Bitte 5 Banner.\n\nMit freundlichen Grüßen\nAnna Berg");
    assert!(closed.signature.contains("04109 Leipzig"), "{closed:?}");
    for device in [
        "Sent from my iPhone",
        "Von meinem iPhone gesendet",
        "Get Outlook for Android",
        "Envoyé de mon iPhone",
        "Enviado desde mi iPhone",
        "Inviato da iPhone",
        "Verstuurd vanaf mijn iPhone",
        "Wysłane z iPhone'a",
        "Skickat från min iPhone",
        "Sendt fra min iPhone",
        "Enviado do meu iPhone",
        "मेरे iPhone से भेजा गया",
        "Gesendet von Outlook für Android",
    ] {
        assert_eq!(read(&format!("5 Banner.\n\n{device}")).new, "5 Banner.", "{device}");
        let between = format!("5 Banner.\n\n{device}\n\nAm 03.11.2026 um 10:00 schrieb Shop:\n> alt");
        assert_eq!(read(&between).new, "5 Banner.", "{device}");
    }
    for kept in [
        "Preise für:\n--\n3 Banner 2 x 1 m\n5 Schilder",
        "Danke\nMit freundlichen Grüßen\nAnna\n\nPS: noch 3 Roll-ups, 85 cm",
        "Viele Grüße\nAnna\n12 Fahnen\n3m breit",
        "Hi\n\nThanks,\nAnna\nHotel sign 3 x 2 m",
        "Von meinem Entwurf brauche ich 3 Stück",
    ] {
        assert_eq!(read(kept).new, kept);
    }
}

#[test]
fn endless_quotes_are_bounded_and_the_answer_below_is_kept() {
    let mut thread = String::from("Bitte 5 Banner.\n\n");
    for level in 1..=10_000_usize {
        let _ = std::fmt::Write::write_fmt(&mut thread, format_args!("{} Mail {level}\n", ">".repeat(level.min(200))));
    }
    let parts = read(&format!("{thread}\nUnd 2 Fahnen."));
    assert_eq!(parts.new, "Bitte 5 Banner.\n\nUnd 2 Fahnen.");
    assert!(parts.quoted.len() <= MAX_TEXT_CHARS);

    let arrows = read(&format!("5 Banner\n{}", ">".repeat(10 * 1024 * 1024)));
    assert_eq!(arrows.new, "5 Banner");
    let lines = read(&format!("5 Banner\n{}", ">\n".repeat(5 * 1024 * 1024)));
    assert_eq!(lines.new, "5 Banner");
    let heads = "On 3 Nov 2026, Shop <a@b.example> wrote\n".repeat(200_000);
    assert!(read(&heads).new.chars().count() <= MAX_TEXT_CHARS);
    let blocks = read(&format!("5 Banner\n\n{}", "From: a\nSent: b\nTo: c\nSubject: d\n\nwords\n\n".repeat(10_000)));
    assert_eq!(blocks.new, "5 Banner");
    let nested = read_as("text/html", &format!("5 Banner{}old", "<blockquote type=cite>".repeat(10_000)));
    assert_eq!(nested.new, "5 Banner");
}
