//! Reading a quote request by plain rules.
//!
//! The rules know numbers, units, dates and the small words of the trade in a dozen languages; products, materials and
//! dimensions they know from the request alone. They take the mail as data: what it tells them to do is not even seen.
//! What they do not understand becomes a `problem`, as the real model is told to do it.

use super::request::{Answer, Intent, Item, QuoteRequest};

mod amendment;
mod date;
mod decision;
mod dimension;
mod draft;
mod fold;
mod intent;
mod item;
mod language;
mod lexicon;
mod measure;
mod mention;
mod number;
mod phrases;
mod quantity;
mod reader;
mod table;
mod text;
mod token;
mod unit;
mod unknown;

use reader::Reader;

/// The answer to a request; the same for the same request.
pub fn answer(request: &QuoteRequest) -> Answer {
    let body = Reader::new(request, &request.mail.text);
    let mut items = items(&body);
    if items.is_empty() {
        // Some people write everything into the subject.
        let subject = Reader::new(request, &request.mail.subject);
        let named = items_of_products(&subject);
        if named.iter().any(|item| item.quantity.is_some()) {
            items = named;
        }
    }
    for text in request.attachments.iter().filter_map(|attachment| attachment.text.as_deref()) {
        let (rest, rows) = table::items(request, text, body.language);
        items.extend(rows);
        items.extend(items_of_products(&Reader::in_language(request, &rest, body.language)));
    }
    let open = request.quote.as_ref().filter(|quote| quote.state != "accepted");
    let amended = open.filter(|_| request.attachments.is_empty()).and_then(|quote| amendment::amended(&body, quote));
    let decided = decision::decision(&own(&request.mail.text));
    let intent = intent::intent(request, &body, &items, decided.as_ref().map(|(said, _)| *said), amended.is_some());
    let duplicate_of = (intent == Intent::Duplicate).then(|| intent::duplicate_of(request, &items)).flatten();
    let mut dropped = Vec::new();
    match (intent, amended) {
        (Intent::Amends, Some(amended)) => (items, dropped) = (amended.items, amended.dropped),
        (Intent::NewRequest | Intent::Duplicate | Intent::Amends, _) => {}
        (Intent::Accepts | Intent::Declines | Intent::Question | Intent::FollowUp | Intent::NotARequest, _) => {
            items.clear();
        }
    }
    let deadline = date::deadline(&body.cut.tokens, &body.cut.units, &body.dates).map(|day| day.to_string());
    let problem = (intent == Intent::NewRequest && items.iter().all(|item| item.sku.is_none()))
        .then(|| "no product of the list is named in the mail".to_owned());
    let doubtful = problem.is_some() || items.iter().any(|item| item.problem.is_some());
    Answer {
        intent,
        language: body.language.to_owned(),
        confidence: if doubtful { 0.5 } else { 0.95 },
        customer_name: customer_name(&request.mail.from),
        deadline,
        items,
        dropped,
        decision: decided.filter(|_| matches!(intent, Intent::Accepts | Intent::Declines)).and_then(|(_, words)| words),
        condition: None,
        duplicate_of,
        problem,
    }
}

/// What the sender wrote newly.
fn own(text: &str) -> String {
    text::own_lines(text).iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
}

fn items(reader: &Reader<'_>) -> Vec<Item> {
    let drafts = draft::drafts(reader);
    let mut items = item::items(reader, &drafts);
    items.extend(unknown::items(reader, &drafts));
    items
}

fn items_of_products(reader: &Reader<'_>) -> Vec<Item> {
    item::items(reader, &draft::drafts(reader))
}

/// The display name of the sender, the right way round.
fn customer_name(from: &str) -> Option<String> {
    let name = from.rsplit_once('<').map(|(name, _)| name.trim().trim_matches('"').trim())?;
    let name = match name.split_once(", ") {
        Some((last, first)) if !first.contains(' ') && !last.contains(' ') => format!("{first} {last}"),
        _ => name.to_owned(),
    };
    (!name.is_empty() && !name.contains('@')).then_some(name)
}
