//! The languages we write, read back from the page: as text, as glyphs and as pictures.

use std::collections::BTreeSet;

use typst::layout::{Frame, FrameItem};
use typst_layout::PagedDocument;

use super::*;
use crate::render::words::words;

/// Languages with a script of their own, and its block of Unicode.
const INDIAN: [(Language, std::ops::RangeInclusive<char>); 4] = [
    (Language::Hindi, '\u{900}'..='\u{97f}'),
    (Language::Kannada, '\u{c80}'..='\u{cff}'),
    (Language::Tamil, '\u{b80}'..='\u{bff}'),
    (Language::Punjabi, '\u{a00}'..='\u{a7f}'),
];

fn laid_out(quote: &QuoteDocument) -> PagedDocument {
    let world = QuoteWorld::new(sheet::json(quote).into_bytes(), quote.sender.logo.clone());
    typst::compile::<PagedDocument>(&world).output.unwrap()
}

/// Every piece of text on the pages, with its font's family, whether each of its glyphs exists, and how many there are.
fn pieces(document: &PagedDocument) -> Vec<Piece> {
    let mut found = Vec::new();
    for page in document.pages() {
        collect(&page.frame, &mut found);
    }
    found
}

#[derive(Debug)]
struct Piece {
    text: String,
    family: String,
    drawn: bool,
    glyphs: usize,
}

fn collect(frame: &Frame, found: &mut Vec<Piece>) {
    for (_, item) in frame.items() {
        match item {
            FrameItem::Group(group) => collect(&group.frame, found),
            FrameItem::Text(text) => found.push(Piece {
                text: text.text.to_string(),
                family: text.font.info().family.clone(),
                drawn: text.glyphs.iter().all(|glyph| glyph.id != 0),
                glyphs: text.glyphs.len(),
            }),
            _ => {}
        }
    }
}

fn boxes(document: &PagedDocument) -> Vec<Piece> {
    pieces(document).into_iter().filter(|piece| !piece.drawn).collect()
}

#[test]
fn the_five_languages_of_india_are_read_back() {
    for (language, expected) in [
        (
            Language::English,
            ["Quote", "Prepared for", "Valid until", "21 December 2026", "Unit price", "Subtotal", "Page 1 of 1"],
        ),
        (Language::Hindi, ["कोटेशन", "सेवा में", "वैधता", "21 दिसंबर 2026 तक", "इकाई मूल्य", "उप-योग", "पृष्ठ 1 / 1"]),
        (Language::Kannada, ["ದರಪಟ್ಟಿ", "ಇವರಿಗೆ", "ಮಾನ್ಯತೆ", "21 ಡಿಸೆಂಬರ್ 2026 ರವರೆಗೆ", "ಘಟಕ ದರ", "ಉಪಮೊತ್ತ", "ಪುಟ 1 / 1"]),
        (
            Language::Tamil,
            ["விலைப்புள்ளி", "பெறுநர்", "செல்லுபடி", "21 டிசம்பர் 2026 வரை", "அலகு விலை", "துணைத் தொகை", "பக்கம் 1 / 1"],
        ),
        (Language::Punjabi, ["ਕੋਟੇਸ਼ਨ", "ਸੇਵਾ ਵਿਖੇ", "ਮਿਆਦ", "21 ਦਸੰਬਰ 2026 ਤੱਕ", "ਇਕਾਈ ਕੀਮਤ", "ਉਪ-ਜੋੜ", "ਪੰਨਾ 1 / 1"]),
    ] {
        let quote = sample(language, 2);
        let text = text_of(&pdf(&quote).unwrap());
        let customer = quote.customer.name.unwrap();
        for word in expected.into_iter().chain([
            customer.as_str(),
            &quote.lines[0].name,
            "₹49,999.50",
            "₹2,50,035.00",
            "GST 18%",
            "₹45,006.30",
            "₹2,95,041.30",
        ]) {
            assert!(text.contains(word), "{word} is missing in:\n{text}");
        }
        // The customer's column is on the left, the amounts are on the right: no script of ours runs the other way.
        let row = text.lines().find(|line| line.contains("₹2,95,041.30")).unwrap();
        assert!(row.find(words(language).total) < row.find('₹'), "{row}");
    }
}

#[test]
fn no_language_shows_an_empty_box() {
    for language in Language::ALL {
        let mut quote = sample(language, 6);
        quote.customer.name = Some("Ανδρέας Łukasz Шевченко — 王芳 🎉 ✂️ ½ ㎡".into());
        quote.lines[1].name = "क्षेत्र · ಕ್ಷೇತ್ರ · க்ஷேத்திரம் · ਖੇਤਰ · ક્ષેત્ર · ক্ষেত্র · କ୍ଷେତ୍ର · క్షేత్రం · ക്ഷേത്രം".into();
        quote.notes = Some("नमस्ते 👩\u{200d}🔧 — “ok” ‘ok’ … ≤ 3 × 4 m² → ✔ ☎ №".into());
        let document = laid_out(&quote);
        assert!(boxes(&document).is_empty(), "{language:?}: {:?}", boxes(&document));
    }
    // The check sees one where there is one.
    let json = sheet::json(&sample(Language::Hindi, 1)).replace("Q-00042", "王芳");
    let document =
        typst::compile::<PagedDocument>(&QuoteWorld::new(json.into_bytes(), sample(Language::Hindi, 1).sender.logo));
    assert!(!boxes(&document.output.unwrap()).is_empty());
}

#[test]
fn letters_are_joined_as_their_script_wants() {
    // Each is one letter with a vowel sign, made of four to six characters that must melt into fewer glyphs.
    for (language, conjuncts) in [
        (Language::Hindi, ["क्षि", "त्रि", "ज्ञा"]),
        (Language::Kannada, ["ಕ್ಷಿ", "ಸ್ತ್ರೀ", "ಜ್ಞಾ"]),
        (Language::Tamil, ["க்ஷி", "ஸ்ரீ", "க்ஷா"]),
        (Language::Punjabi, ["ਸ੍ਰੀ", "ਪ੍ਰੇ", "ਨ੍ਹਾ"]),
    ] {
        for conjunct in conjuncts {
            let mut quote = sample(language, 1);
            quote.lines[0].name = conjunct.into();
            let pieces = pieces(&laid_out(&quote));
            let piece = pieces.iter().find(|piece| piece.text.trim_end() == conjunct).unwrap();
            assert!(piece.glyphs < conjunct.chars().count(), "{piece:?} is not joined");
            assert!(piece.family.starts_with("Noto Sans"), "{piece:?}");
        }
    }
}

#[test]
fn each_language_has_a_script_and_weights_of_its_own() {
    for (language, script) in INDIAN {
        let pieces = pieces(&laid_out(&sample(language, 3)));
        let families: BTreeSet<_> = pieces
            .iter()
            .filter(|piece| piece.text.chars().any(|c| script.contains(&c)))
            .map(|piece| piece.family.as_str())
            .collect();
        assert_eq!(families.len(), 1, "{language:?} is written in {families:?}");
        let words = words(language);
        for word in [words.quote, words.total, words.item, words.terms, words.page[0], words.until, words.your_request]
        {
            assert!(word.chars().any(|c| script.contains(&c)), "{word}");
            let foreign = |c: char| c.is_alphabetic() && !c.is_ascii() && !script.contains(&c);
            assert!(!word.chars().any(foreign), "{word} mixes scripts");
        }
    }
}

/// A picture of the first page: its width, its height and its grey values.
fn picture(pdf: &[u8]) -> (usize, usize, Vec<u8>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pdf).unwrap();
    let mut command = Command::new("pdftoppm");
    let output = command.args(["-r", "72", "-gray", "-singlefile"]).arg(file.path()).output();
    let image = output.expect("poppler-utils is installed").stdout;
    // P5, width, height, 255, then one byte per pixel.
    let mut parts = image.splitn(4, u8::is_ascii_whitespace);
    assert_eq!(parts.next(), Some(&b"P5"[..]));
    let mut side = || std::str::from_utf8(parts.next().unwrap()).unwrap().parse::<usize>().unwrap();
    let (width, height) = (side(), side());
    let pixels = image[image.len() - width * height..].to_vec();
    (width, height, pixels)
}

#[test]
fn the_pictures_of_all_languages_are_whole() {
    for language in Language::ALL {
        let (width, height, pixels) = picture(&pdf(&sample(language, 5)).unwrap());
        assert_eq!((width, height), (596, 842), "{language:?} is not one page of A4");
        let dark = |x: usize, y: usize| pixels[y * width + x] < 200;
        let ink = pixels.iter().filter(|grey| **grey < 200).count();
        assert!((9_000..60_000).contains(&ink), "{language:?}: {ink} dark points");
        // Margins stay white below the strip of the brand: nothing runs off the page, to either side.
        let margins = (0..40).chain(556..width).flat_map(|x| (20..height).map(move |y| (x, y)));
        assert_eq!(margins.filter(|(x, y)| dark(*x, *y)).count(), 0, "{language:?} leaves the page");
        // The logo stands in the upper left corner, the sum in the lower right.
        assert!((57..105).any(|x| (60..110).any(|y| dark(x, y))), "{language:?} has no logo on the left");
    }
}

#[test]
fn three_hundred_lines_keep_their_head_and_their_sums_together() {
    for language in [Language::Hindi, Language::Tamil] {
        let quote = sample(language, 300);
        let text = text_of(&pdf(&quote).unwrap());
        let pages: Vec<_> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
        let words = words(language);
        for (n, page) in pages.iter().enumerate() {
            let has_lines = page.contains("SIGN-");
            assert_eq!(has_lines, page.contains(words.unit_price), "page {} of {language:?}", n + 1);
            assert!(page.contains(&format!("{} {} / {}", words.page[0], n + 1, pages.len())));
        }
        for n in 1..=300 {
            assert!(text.contains(&format!("SIGN-{n:03}")), "line {n} of {language:?}");
        }
    }
}

/// However many lines fill the last page: the sums are never alone on a page of their own.
#[test]
fn sums_are_never_orphaned() {
    for lines in 1..=30 {
        let quote = sample(Language::Kannada, lines);
        let text = text_of(&pdf(&quote).unwrap());
        let page = text.split('\u{c}').find(|page| page.contains(words(Language::Kannada).subtotal)).unwrap();
        assert!(page.contains("SIGN-"), "the sums of {lines} lines stand alone:\n{page}");
    }
}
