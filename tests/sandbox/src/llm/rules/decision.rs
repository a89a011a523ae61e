//! Whether a mail agrees to the quote that it continues, turns it down, or asks something.

use super::intent::{says, spaced};

/// What whoever agrees writes; folded.
const ACCEPTS: &[&str] = &[
    "we accept",
    "i accept",
    "accepted",
    "go ahead",
    "we agree",
    "i agree",
    "please proceed",
    "we confirm",
    "i confirm",
    "einverstanden",
    "nehme das angebot an",
    "nehmen das angebot an",
    "nehmen ihr angebot an",
    "nehme ihr angebot an",
    "hiermit beauftrage ich",
    "hiermit beauftragen wir",
    "nous acceptons",
    "j'accepte",
    "bon pour accord",
    "aceptamos",
    "acepto",
    "accettiamo",
    "accetto",
    "akceptujemy",
    "akceptuje",
    "wij gaan akkoord",
    "akkoord",
    "vi accepterar",
    "स्वीकार",
];
const DECLINES: &[&str] = &[
    "we decline",
    "i decline",
    "not interested",
    "no longer need",
    "do not need",
    "don't need",
    "too expensive",
    "another supplier",
    "lehnen ab",
    "lehne ab",
    "lehnen das angebot ab",
    "lehne das angebot ab",
    "kein interesse",
    "nicht mehr benotigt",
    "brauchen wir nicht mehr",
    "zu teuer",
    "nous declinons",
    "je decline",
    "trop cher",
    "rechazamos",
    "no nos interesa",
    "rifiutiamo",
    "rezygnujemy",
    "tackar nej",
    "अस्वीकार",
];
/// Whoever writes this agrees to something else than what was offered.
const CONDITIONS: &[&str] = &[
    "but",
    "if",
    "provided",
    "unless",
    "cheaper",
    "discount",
    "percent",
    "aber",
    "wenn",
    "falls",
    "sofern",
    "rabatt",
    "skonto",
    "gunstiger",
    "prozent",
    "mais",
    "remise",
    "si",
    "pero",
    "descuento",
    "ma",
    "sconto",
    "ale",
    "rabat",
    "men",
];
const QUESTIONS: &[&str] = &[
    "when",
    "how long",
    "how much",
    "can you",
    "could you",
    "is it possible",
    "wann",
    "wie lange",
    "wieviel",
    "konnen sie",
    "konnten sie",
    "bis wann",
    "quand",
    "combien",
    "pouvez vous",
    "cuando",
    "quando",
    "wanneer",
    "kiedy",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Accepts,
    Declines,
    Asks,
}

/// The decision, and the words that say it, verbatim.
pub(super) fn decision(text: &str) -> Option<(Decision, Option<String>)> {
    let whole = spaced(text);
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| says(&whole, phrase));
    let asks = text.contains('?') || has(QUESTIONS);
    let decided = if has(DECLINES) { Some((Decision::Declines, DECLINES)) } else { None };
    let decided = decided.or_else(|| has(ACCEPTS).then_some((Decision::Accepts, ACCEPTS)));
    match decided {
        Some((Decision::Accepts, _)) if asks || has(CONDITIONS) || text.contains('%') => Some((Decision::Asks, None)),
        Some((decision, phrases)) => {
            let line = text.lines().find(|line| phrases.iter().any(|phrase| says(&spaced(line), phrase)));
            Some((decision, Some(line.unwrap_or(text).trim().to_owned())))
        }
        None if asks => Some((Decision::Asks, None)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreeing_is_told_from_bargaining_and_asking() {
        let of = |text| decision(text).map(|(decision, _)| decision);
        assert_eq!(of("Thank you, please go ahead.\nBest, Jo"), Some(Decision::Accepts));
        assert_eq!(of("Wir sind einverstanden."), Some(Decision::Accepts));
        assert_eq!(of("Yes, we accept, but 10 % cheaper."), Some(Decision::Asks));
        assert_eq!(of("We accept. When can you deliver?"), Some(Decision::Asks));
        assert_eq!(of("Sorry, that is too expensive for us."), Some(Decision::Declines));
        assert_eq!(of("Bis wann könnten Sie liefern"), Some(Decision::Asks));
        assert_eq!(of("Vielen Dank!"), None);
        let (_, words) = decision("Hello,\n  we accept the offer.\nJo").unwrap();
        assert_eq!(words.as_deref(), Some("we accept the offer."));
    }
}
