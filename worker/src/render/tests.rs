use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::*;

mod languages;

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn dimension(name: &str, value: &str, unit: &str) -> LineDimension {
    LineDimension { name: name.into(), value: number(value), unit: unit.into() }
}

fn line(name: &str, quantity: &str, unit_price: &str) -> QuoteLine {
    QuoteLine {
        name: name.into(),
        sku: Some("FEN-2".into()),
        description: None,
        dimensions: vec![dimension("width", "1200", "mm"), dimension("height", "815.5", "mm")],
        material: Some("Eiche geölt".into()),
        quantity: number(quantity),
        unit_label: "Stk.".into(),
        unit_price: number(unit_price),
        total: Currency::EUR.round(number(quantity) * number(unit_price)),
    }
}

fn quote(lines: Vec<QuoteLine>) -> QuoteDocument {
    let totals = Totals::of(lines.iter().map(|line| line.total), number("0.19"), Currency::EUR).unwrap();
    QuoteDocument {
        language: Language::German,
        currency: Currency::EUR,
        number: "A-2026-0017".into(),
        date: NaiveDate::from_ymd_opt(2026, 11, 21).unwrap(),
        valid_until: NaiveDate::from_ymd_opt(2026, 12, 21).unwrap(),
        sender: Sender {
            name: "Tischlerei Lindqvist".into(),
            details: "Hafenstraße 12 · 24103 Kiel\n+49 431 555 0199 · info@lindqvist.example\nUSt-IdNr. DE123456789\nIBAN DE02 1203 0000 0000 2020 51".into(),
            brand_color: "#1a7f5a".into(),
            logo: None,
        },
        customer: Customer { name: Some("Margarethe Öztürk".into()), address: "margarethe.oeztuerk@hausverwaltung-nord.example".into() },
        subject: Some("Anfrage: 12 Holzfenster für Neubau Kieler Förde".into()),
        lines,
        totals,
        tax_label: "MwSt.".into(),
        notes: Some("Lieferzeit 4 bis 6 Wochen nach Auftrag. Zahlbar innerhalb von 14 Tagen ohne Abzug.\nMontage auf Wunsch.".into()),
    }
}

fn small() -> QuoteDocument {
    let mut lines = vec![line("Holzfenster, zweiflügelig", "12", "1482.37"), line("Fensterbank", "7.5", "64.90")];
    lines[0].description = Some("Zwei Flügel, Dreifachverglasung, Beschläge in Edelstahl. Farbe innen und außen nach Muster; die Maße verstehen sich als Rahmenaußenmaß.".into());
    lines[1].material = None;
    lines[1].dimensions.truncate(1);
    quote(lines)
}

fn text_of(pdf: &[u8]) -> String {
    run(pdf, &["pdftotext", "-layout", "-", "-"])
}

fn run(pdf: &[u8], command: &[&str]) -> String {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("poppler-utils is installed");
    let mut stdin = child.stdin.take().unwrap();
    let pdf = pdf.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&pdf));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().replace('\u{200b}', "").replace(['\u{a0}', '\u{202f}'], " ")
}

fn has_line(text: &str, words: &[&str]) -> bool {
    text.lines().any(|line| words.iter().all(|word| line.contains(word)))
}

#[test]
fn every_amount_is_read_back_exactly() {
    let pdf = pdf(&small()).unwrap();
    let text = text_of(&pdf);
    for words in [
        vec!["Angebot"],
        vec!["Nummer", "A-2026-0017"],
        vec!["Datum", "21. November 2026"],
        vec!["Gültig bis", "21. Dezember 2026"],
        vec!["Holzfenster, zweiflügelig", "12 Stk.", "1.482,37 €", "17.788,44 €"],
        vec!["Fensterbank", "7,5 Stk.", "64,90 €", "486,75 €"],
        vec!["FEN-2", "Breite 1.200 mm", "Höhe 815,5 mm"],
        vec!["Material Eiche geölt"],
        vec!["Zwischensumme", "18.275,19 €"],
        vec!["MwSt. 19 %", "3.472,29 €"],
        vec!["Gesamtbetrag", "21.747,48 €"],
        vec!["Margarethe Öztürk"],
        vec!["margarethe.oeztuerk@hausverwaltung-nord"],
        vec!["Seite 1 von 1"],
    ] {
        assert!(has_line(&text, &words), "{words:?} is not on one line of:\n{text}");
    }
}

#[test]
fn the_same_quote_gives_the_same_bytes() {
    assert!(pdf(&small()).unwrap() == pdf(&small()).unwrap());
    let mut other = small();
    other.date = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
    assert!(pdf(&small()).unwrap() != pdf(&other).unwrap());
}

#[test]
fn every_language_has_its_words_and_numbers() {
    for (language, words) in [
        (Language::English, ["Quote", "€17,788.44", "Valid until", "21 December 2026", "19%"]),
        (Language::German, ["Angebot", "17.788,44 €", "Gültig bis", "21. Dezember 2026", "19 %"]),
        (Language::French, ["Devis", "17 788,44 €", "Valable jusqu’au", "21 décembre 2026", "19 %"]),
        (Language::Spanish, ["Presupuesto", "17.788,44 €", "Válido hasta", "21 de diciembre de 2026", "19 %"]),
        (Language::Italian, ["Preventivo", "17.788,44 €", "Valido fino al", "21 dicembre 2026", "19%"]),
        (Language::Dutch, ["Offerte", "€ 17.788,44", "Geldig tot", "21 december 2026", "19%"]),
    ] {
        let mut quote = small();
        quote.language = language;
        let text = text_of(&pdf(&quote).unwrap());
        for word in words {
            assert!(text.contains(word), "{word} is missing in:\n{text}");
        }
    }
}

#[test]
fn long_quotes_repeat_their_header_and_keep_their_lines() {
    let quote = quote((1..=90).map(|n| line(&format!("Artikel {n:03}"), "3", "19.99")).collect());
    let pdf = pdf(&quote).unwrap();
    let text = text_of(&pdf);
    let pages: Vec<_> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert!(pages.len() > 3);
    for (n, page) in pages.iter().enumerate() {
        assert_eq!(page.contains("Artikel"), page.contains("Einzelpreis"), "page {}", n + 1);
        assert!(page.contains(&format!("Seite {} von {}", n + 1, pages.len())));
    }
    for n in 1..=90 {
        assert!(has_line(&text, &[&format!("Artikel {n:03}"), "59,97 €"]), "{n}");
    }
}

#[test]
fn what_a_mail_says_stays_text() {
    let attacks = [
        "#read(\"/etc/passwd\")",
        "#import \"@preview/cetz:0.3.0\": *",
        "*bold* _it_ $x^2$ `code` = heading",
        "\"); #panic(\"x\") //",
        "#set text(size: 1pt)",
        "</script> \\u{0} \\ #",
        "@label <label> https://evil.example/",
        "[#emph[x]] /* comment */",
    ];
    let mut quote = small();
    quote.lines = attacks.iter().map(|attack| line(attack, "1", "1.00")).collect();
    quote.subject = Some(attacks.join(" "));
    quote.customer.name = Some(attacks[0].into());
    quote.sender.details = attacks.join("\n");
    quote.notes = Some(attacks.join("\n"));
    quote.lines[0].description = Some("\u{202e}reversed\u{0}".into());
    let pdf = pdf(&quote).unwrap();
    let text = text_of(&pdf);
    for attack in attacks {
        assert!(text.contains(attack), "{attack} is not printed as it is in:\n{text}");
    }
    assert!(text.contains("reversed") && !text.contains("root:"));
}

#[test]
fn long_texts_and_other_scripts_stay_on_the_page() {
    let mut quote = small();
    let long = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen".repeat(6);
    quote.lines.push(line(&long, "100000", "123456789.01"));
    quote.lines[2].description = Some("Lorem ipsum dolor sit amet, consetetur sadipscing elitr. ".repeat(60));
    quote.lines.push(line("खिड़की · জানালা · વિન્ડો · ਖਿੜਕੀ · ಕಿಟಕಿ · ജനൽ · ଝରକା · சாளரம் · కిటికీ", "1", "2.00"));
    quote.lines.push(line("نافذة · חלון · หน้าต่าง · Окно · Παράθυρο · okno żółć", "1", "2.00"));
    quote.customer.name = Some(long.clone());
    quote.subject = Some(long);
    quote.sender.name = "Η εταιρεία ООО Окна".into();
    quote.totals = Totals::of(quote.lines.iter().map(|line| line.total), number("0.19"), Currency::EUR).unwrap();
    let pdf = pdf(&quote).unwrap();
    let text = text_of(&pdf);
    assert!(text.contains("12.345.678.901.000,00 €") && text.contains("Παράθυρο") && text.contains("Окно"));
}

#[test]
fn logos_are_drawn_or_left_away() {
    let svg = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 220 60"><rect width="60" height="60" rx="12" fill="#c2410c"/><path d="M14 44 L30 14 L46 44 Z" fill="white"/><rect x="74" y="18" width="140" height="10" fill="#1c2127"/><rect x="74" y="36" width="90" height="8" fill="#9aa3ad"/></svg>"##;
    let mut with_svg = small();
    with_svg.sender.logo = Some(Logo::new(svg.into()).unwrap());
    with_svg.sender.brand_color = "#f5c400".into();
    with_svg.language = Language::English;
    let drawn = pdf(&with_svg).unwrap();
    assert!(drawn != pdf(&small()).unwrap());

    for (bytes, why) in [
        (&b"GIF89a"[..], "neither"),
        (b"", "neither"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\x10\0\0\0\0\0\x01", "pixels"),
        (b"\x89PNG\r\n\x1a\n", "neither"),
    ] {
        assert!(Logo::new(bytes.to_vec()).unwrap_err().to_string().contains(why));
    }
    // Looks like one until it is drawn: the tenant's name takes its place.
    for broken in [
        &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01"[..],
        b"<svg",
        b"<svg><image href=\"/etc/passwd\"/></svg>",
    ] {
        let mut quote = small();
        quote.sender.logo = Some(Logo::new(broken.to_vec()).unwrap());
        assert!(text_of(&pdf(&quote).unwrap()).contains("Gesamtbetrag"));
    }
}

#[test]
fn too_few_and_too_many_lines_are_refused() {
    assert!(matches!(pdf(&quote(vec![])), Err(RenderError::NoLines)));
    let many = quote(vec![line("x", "1", "1.00"); MAX_LINES + 1]);
    assert!(matches!(pdf(&many), Err(RenderError::TooManyLines(1001))));
}

#[test]
fn the_largest_quote_takes_seconds_not_minutes() {
    let largest = quote(vec![line(&"Fenster ".repeat(25), "1", "1.00"); MAX_LINES]);
    let start = Instant::now();
    pdf(&largest).unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
}
