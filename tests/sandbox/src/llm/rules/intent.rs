//! What a mail is: a request, a change of one, a decision, a question, a word about an earlier one, the same again, or none of our
//! business.

use super::super::request::{Earlier, Intent, Item, QuoteRequest};
use super::decision::Decision;
use super::fold::fold;
use super::phrases::{AGAIN, AUTOMATIC, BULK, MACHINES, REQUESTS};
use super::reader::Reader;

pub(super) fn intent(
    request: &QuoteRequest,
    reader: &Reader<'_>,
    items: &[Item],
    decision: Option<Decision>,
    amends: bool,
) -> Intent {
    let mail = &request.mail;
    let (subject, text) = (spaced(&mail.subject), spaced(&mail.text));
    if from_machine(&mail.from) || AUTOMATIC.iter().any(|phrase| says(&subject, phrase)) {
        return Intent::NotARequest;
    }
    let wanted = items.iter().any(|item| item.sku.is_some() && item.quantity.is_some());
    if !wanted
        && (BULK.iter().any(|phrase| says(&text, phrase) || says(&subject, phrase))
            || AUTOMATIC.iter().any(|phrase| says(&text, phrase)))
    {
        return Intent::NotARequest;
    }
    if repeated(request, &text, items).is_some() {
        return Intent::Duplicate;
    }
    if amends {
        return Intent::Amends;
    }
    let open = mail.is_reply || request.earlier.iter().any(|earlier| !earlier.elsewhere);
    let says_something = items.iter().any(|item| item.quantity.is_some() || !item.dimensions.is_empty());
    let asks = reader.cut.tokens.iter().any(|token| token.is_one_of(REQUESTS))
        || REQUESTS.iter().any(|word| says(&subject, word));
    match decision.filter(|_| open && !says_something) {
        Some(Decision::Accepts) => return Intent::Accepts,
        Some(Decision::Declines) => return Intent::Declines,
        Some(Decision::Asks) => return Intent::Question,
        None => {}
    }
    match (says_something, asks, open) {
        (false, _, true) => Intent::FollowUp,
        (true, _, _) | (false, true, false) => Intent::NewRequest,
        (false, false, false) if !items.is_empty() => Intent::NewRequest,
        (false, false, false) => Intent::NotARequest,
    }
}

fn from_machine(from: &str) -> bool {
    let address = from.rsplit('<').next().unwrap_or(from);
    let local = fold(address.split('@').next().unwrap_or_default());
    MACHINES.contains(&local.trim())
        || local.contains("mailer-daemon")
        || local.contains("noreply")
        || local.contains("no-reply")
}

/// The earlier mail that this one repeats.
pub(super) fn duplicate_of(request: &QuoteRequest, items: &[Item]) -> Option<String> {
    repeated(request, &spaced(&request.mail.text), items)?.id.clone()
}

/// The same words as an earlier mail, or the sender says so and an earlier mail is like it.
fn repeated<'a>(request: &'a QuoteRequest, text: &str, items: &[Item]) -> Option<&'a Earlier> {
    let again = AGAIN.iter().any(|phrase| says(text, phrase));
    let subject = bare_subject(&request.mail.subject);
    let said = |item: &Item| spaced(&item.excerpt);
    request.earlier.iter().filter(|_| !items.is_empty()).find(|earlier| {
        let summary = spaced(earlier.summary.as_deref().unwrap_or_default());
        let same_subject = bare_subject(earlier.subject.as_deref().unwrap_or_default()) == subject;
        let same_words = items.iter().all(|item| {
            let words = said(item);
            let (count, known) = words.split_whitespace().fold((0, 0), |(count, known), word| {
                (count + 1, known + usize::from(summary.contains(&format!(" {word} "))))
            });
            known * 10 >= count * 9
        });
        same_words || again && same_subject
    })
}

fn bare_subject(subject: &str) -> String {
    let mut rest = fold(subject.trim());
    while let Some((prefix, tail)) = rest.split_once(':') {
        if prefix.trim().chars().count() > 3 {
            break;
        }
        rest = tail.trim().to_owned();
    }
    rest
}

/// Folded words with single spaces between and around them, without punctuation.
pub(super) fn spaced(text: &str) -> String {
    let folded = fold(text);
    let words =
        folded.split(|letter: char| !letter.is_alphanumeric() && letter != '\'').filter(|word| !word.is_empty());
    format!(" {} ", words.collect::<Vec<_>>().join(" "))
}

pub(super) fn says(spaced: &str, phrase: &str) -> bool {
    spaced.contains(&format!(" {phrase} "))
}
