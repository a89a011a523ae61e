//! Which language a mail is written in, by its most frequent small words or its script.

use super::token::{Kind, Token};

/// Words that are frequent in one language and rare in the others; folded.
const WORDS: [(&str, &str); 11] = [
    (
        "de",
        "der die das und ist nicht wir ich sie ihr ihre fur mit aus von bitte ein eine einen den dem im am zu uns unser unsere auf oder sowie guten tag hallo gruss moin was kosten",
    ),
    (
        "en",
        "the and is are we you your our for with of please to would could this that it have need hi hello dear thanks can in on at by from they",
    ),
    (
        "fr",
        "le la les des et est nous vous pour avec de du un une merci bonjour votre notre dans sur en que qui madame monsieur devis serait au aux",
    ),
    (
        "es",
        "el los las y es para con de un una por favor gracias hola buenos dias nuestro nuestra les su del que necesitamos presupuesto precio me al en",
    ),
    (
        "nl",
        "de het een en is wij voor met van graag ons onze u op dat die niet bij goedemorgen beste groet offerte willen dan naar te",
    ),
    (
        "it",
        "il lo gli e per con di un una vorremmo vorrei nostro nostra nostra buongiorno buonasera grazie della del dei che ci la le nel alla preventivo offerta chiediamo",
    ),
    (
        "pt",
        "o os as e para com de um uma obrigado obrigada bom dia nosso nossa por favor em do da podem precisamos orcamento pelo pela que",
    ),
    (
        "pl",
        "i w z na do prosze prosimy o sie jest nie dla dzien dobry dziekuje oraz szanowni panstwo wycene pozdrawiam czy za",
    ),
    ("sv", "och att det en ett vi jag for med pa av till ar hej tack skulle vilja ha var kan ni offert era"),
    ("da", "og at det en et vi jeg for med pa af til er hej tak ville gerne have kan tilbud venlig hilsen jeres"),
    ("cs", "a na do je pro se prosim dobry den dekuji nabidku cenu nas nase za bychom potrebujeme"),
];

/// ISO 639-1; English if there is nothing to go by.
pub(super) fn detect(tokens: &[Token]) -> &'static str {
    let words: Vec<&str> =
        tokens.iter().filter(|token| token.kind == Kind::Word).map(|token| token.text.as_str()).collect();
    if let Some(language) = by_script(&words) {
        return language;
    }
    let score = |list: &str| {
        let list: Vec<&str> = list.split(' ').collect();
        words.iter().filter(|word| list.contains(word)).count()
    };
    let mut best = ("en", 0);
    for (language, list) in WORDS {
        let score = score(list);
        if score > best.1 {
            best = (language, score);
        }
    }
    best.0
}

fn by_script(words: &[&str]) -> Option<&'static str> {
    let letters: Vec<char> = words.iter().flat_map(|word| word.chars()).collect();
    let share = |from: char, to: char| {
        letters.iter().filter(|letter| (from..=to).contains(*letter)).count() * 3 > letters.len()
    };
    [
        ('\u{900}', '\u{97f}', "hi"),
        ('\u{400}', '\u{4ff}', "ru"),
        ('\u{370}', '\u{3ff}', "el"),
        ('\u{600}', '\u{6ff}', "ar"),
    ]
    .into_iter()
    .find(|(from, to, _)| !letters.is_empty() && share(*from, *to))
    .map(|(_, _, language)| language)
}
