//! What becomes of a mail, decided from the model's answer and our own checks.

use postrider_shared::accounts::identity_of;
use postrider_shared::ids::MailId;
use postrider_shared::mail::{InboundMail, Intent, Reading};
use postrider_shared::quotes::{Amendment, Answered, Decision, NewQuote, QuoteState};
use serde_json::{Value, json};

use super::conversation::Conversation;
use super::fingerprint;
use super::question::Material;
use crate::extraction::{self, MIN_CONFIDENCE};
use crate::mail::is_unread;
use crate::providers::llm::{self, Answer, LlmError};

pub(super) enum Verdict {
    /// It changes the quote that it continues.
    Amend(Box<Amendment>),
    /// It repeats this mail, if that came to something; else it is a request for a person.
    Repeat {
        of: MailId,
        reading: Reading,
        otherwise: Box<NewQuote>,
    },
    /// It decides on the quote that it continues.
    Decide(Answered),
    /// A person must answer it.
    Person {
        reading: Reading,
        reason: String,
    },
    Ignore {
        reading: Reading,
        reason: String,
    },
    Quote(Box<NewQuote>),
}

/// The verdict on an answer. Only what the model is sure of is ignored; doubt goes to a person.
pub(super) fn of(material: &Material, answer: &Answer) -> Verdict {
    let language = language(&answer.language);
    let reading = |intent| Reading {
        intent: Some(intent),
        language: language.clone(),
        confidence: Some(answer.confidence).filter(|confidence| (0.0..=1.0).contains(confidence)),
    };
    let sure = (MIN_CONFIDENCE..=1.0).contains(&answer.confidence);
    match answer.intent {
        llm::Intent::NotARequest if sure => {
            return Verdict::Ignore {
                reading: reading(Intent::NotARequest),
                reason: "the mail does not ask for a quote".to_owned(),
            };
        }
        llm::Intent::Amends if let Some(conversation) = &material.conversation => {
            return amends(material, answer, conversation, reading(Intent::Amends));
        }
        llm::Intent::Accepts if let Some(conversation) = &material.conversation => {
            return decides(material, answer, conversation, Decision::Accept, reading(Intent::Accepts));
        }
        llm::Intent::Declines if let Some(conversation) = &material.conversation => {
            return decides(material, answer, conversation, Decision::Decline, reading(Intent::Declines));
        }
        llm::Intent::Question => {
            let reason = answer.problem.as_deref().map_or_else(
                || "it asks something that a person must answer".to_owned(),
                |problem| format!("it asks something that a person must answer: {}", extraction::short(problem)),
            );
            return Verdict::Person { reading: reading(Intent::Question), reason };
        }
        llm::Intent::FollowUp if sure => {
            return Verdict::Ignore {
                reading: reading(Intent::FollowUp),
                reason: "the mail continues an earlier conversation and asks for no new quote".to_owned(),
            };
        }
        llm::Intent::NewRequest
        | llm::Intent::Amends
        | llm::Intent::Accepts
        | llm::Intent::Declines
        | llm::Intent::NotARequest
        | llm::Intent::FollowUp
        | llm::Intent::Duplicate => {}
    }
    let check = if material.saw_pictures() { extraction::check_with_pictures } else { extraction::check };
    let mut checked = check(answer, &material.shown(), &material.products);
    checked.problems.extend(misplaced(material, answer.intent));
    checked.problems.extend(material.unseen());
    checked.problems.extend(unanswerable(material));
    let review = checked.reason();
    let quote = Box::new(NewQuote {
        deadline: answer.deadline,
        customer_name: extraction::customer_name(answer, &material.shown(), &from(material)),
        extraction: serde_json::to_value(answer).unwrap_or_default(),
        lines: checked.lines,
        review,
        reading: reading(Intent::NewRequest),
        ..blank(material, language.clone())
    });
    let repeated = answer.duplicate_of.as_deref().and_then(|id| material.named(id));
    match repeated.filter(|earlier| is_repeated(material, answer, earlier)) {
        Some(earlier) => Verdict::Repeat { of: earlier.id, reading: reading(Intent::Duplicate), otherwise: quote },
        None => Verdict::Quote(quote),
    }
}

/// What the mail says of who wrote it.
fn from(material: &Material) -> String {
    let (record, answer_to) = (&material.record, material.sender.answer_to.as_deref());
    [record.from_name.as_deref().unwrap_or_default(), &record.from_address, answer_to.unwrap_or_default()].join(" ")
}

/// A repetition is believed if it is sure, names a mail, and that is the sender's own. Anything else would lose a request.
fn is_repeated(material: &Material, answer: &Answer, earlier: &InboundMail) -> bool {
    // Many people write through one form.
    let answer_to = material.sender.answer_to.as_deref().unwrap_or_default();
    let is_own = identity_of(answer_to) == identity_of(&material.record.from_address);
    is_own
        && answer.intent == llm::Intent::Duplicate
        && (MIN_CONFIDENCE..=1.0).contains(&answer.confidence)
        && identity_of(&earlier.from_address) == identity_of(&material.record.from_address)
}

/// Why a quote of its own is not what such a mail is answered with.
fn misplaced(material: &Material, intent: llm::Intent) -> Option<String> {
    match intent {
        llm::Intent::Amends => Some("it changes a request, but its conversation has no quote".to_owned()),
        llm::Intent::Accepts | llm::Intent::Declines => {
            Some("it decides on a quote, but its conversation has none".to_owned())
        }
        llm::Intent::NewRequest => {
            let others = material.conversation.as_ref().filter(|conversation| !conversation.is_customers)?;
            Some(format!("it came in the conversation with {}", others.quote.customer_address))
        }
        llm::Intent::Duplicate => Some("it seems to repeat an earlier request".to_owned()),
        llm::Intent::Question | llm::Intent::FollowUp | llm::Intent::NotARequest => None,
    }
}

/// A change of the quote that the mail continues: only its customer changes it, and doubt goes to a person.
fn amends(material: &Material, answer: &Answer, conversation: &Conversation, reading: Reading) -> Verdict {
    let quote = &conversation.quote;
    if !conversation.is_customers {
        let reason = format!("it asks for a change, but the quote is for {}", quote.customer_address);
        return Verdict::Person { reading, reason };
    }
    let mut checked = extraction::amend(answer, &material.shown(), &material.products, &conversation.lines);
    checked.problems.extend(material.unseen());
    checked.problems.extend(unanswerable(material));
    // What a person was to look at is not settled by a change.
    if quote.state == QuoteState::NeedsReview {
        checked.problems.insert(0, quote.reason.clone().unwrap_or_else(|| "nobody has approved it yet".to_owned()));
    }
    let review = checked.reason();
    Verdict::Amend(Box::new(Amendment {
        quote_id: quote.id,
        revision: quote.revision(),
        mail_id: material.record.id,
        // In doubt the customer's last word stands in the mail, and the lines stay as they were.
        lines: review.is_none().then_some(checked.lines),
        review,
        deadline: answer.deadline,
        extraction: serde_json::to_value(answer).unwrap_or_default(),
        fingerprint: fingerprint::of(material),
        reading,
    }))
}

/// A decision on the quote that the mail continues. It binds two businesses, so nothing about it may be in doubt.
fn decides(
    material: &Material,
    answer: &Answer,
    conversation: &Conversation,
    decision: Decision,
    reading: Reading,
) -> Verdict {
    match objection(material, answer, conversation) {
        Some(objection) => {
            let reason = format!("it seems to {decision} the quote, but {objection}");
            Verdict::Person { reading, reason }
        }
        None => Verdict::Decide(Answered {
            quote_id: conversation.quote.id,
            revision: conversation.quote.revision(),
            mail_id: material.record.id,
            decision,
            reading,
        }),
    }
}

/// Why a person must look at a decision, if so.
fn objection(material: &Material, answer: &Answer, conversation: &Conversation) -> Option<String> {
    let (quote, words) = (&conversation.quote, answer.decision.as_deref().unwrap_or_default());
    if !conversation.is_customers {
        return Some(format!("the quote is for {}", quote.customer_address));
    }
    if let Some(doubt) = material.sender.doubt {
        return Some(format!("a machine may have written it: {doubt}"));
    }
    if !(MIN_CONFIDENCE..=1.0).contains(&answer.confidence) {
        return Some(format!("the confidence is {:.2}, less than {MIN_CONFIDENCE}", answer.confidence));
    }
    // Where nothing new is found, the text is the whole mail with what it quotes.
    let own: Vec<&str> = material.text.lines().filter(|line| !line.trim_start().starts_with('>')).collect();
    if !extraction::occurs(words, &own.join("\n")) {
        return Some("the words that say so do not occur in the mail".to_owned());
    }
    if let Some(condition) = answer.condition.as_ref().or(answer.problem.as_ref()) {
        return Some(format!("on a condition: {}", extraction::short(condition)));
    }
    if !answer.items.is_empty() || !answer.dropped.is_empty() {
        return Some("it asks for something else, too".to_owned());
    }
    match conversation.answered {
        Some(revision) if revision == quote.revision() => material.unseen().into_iter().next(),
        Some(revision) => {
            Some(format!("it answers revision {revision}, and revision {} is the last", quote.revision()))
        }
        None => Some("it answers none of the mails that carried the quote".to_owned()),
    }
}

/// A mail the model could not or would not read, for a person.
pub(super) fn unread(material: &Material, error: &LlmError) -> Verdict {
    let mut reasons = vec![error.to_string()];
    reasons.extend(material.unseen());
    reasons.extend(unanswerable(material));
    Verdict::Quote(Box::new(NewQuote {
        extraction: json!({ "error": error.to_string() }),
        review: Some(reasons.join("; ")),
        ..blank(material, None)
    }))
}

fn blank(material: &Material, language: Option<String>) -> NewQuote {
    NewQuote {
        mail_id: material.record.id,
        language: language.unwrap_or_else(|| material.tenant.language.clone()),
        currency: material.tenant.currency.clone(),
        deadline: None,
        customer_name: None,
        customer_address: material.sender.answer_to.clone().unwrap_or_default(),
        extraction: Value::Null,
        lines: Vec::new(),
        review: None,
        fingerprint: fingerprint::of(material),
        reading: Reading::default(),
    }
}

fn unanswerable(material: &Material) -> Option<String> {
    let Some(address) = &material.sender.answer_to else {
        return Some("the mail names no address that an answer could go to".to_owned());
    };
    if is_unread(address) {
        return Some(format!("nobody reads answers to {address}"));
    }
    material.sender.doubt.map(|doubt| format!("a machine may have written the mail: {doubt}"))
}

fn language(answered: &str) -> Option<String> {
    let code: String = answered.trim().chars().take(2).collect::<String>().to_ascii_lowercase();
    let region = answered.trim().chars().nth(2);
    let plausible = code.len() == 2 && code.bytes().all(|b| b.is_ascii_lowercase());
    (plausible && region.is_none_or(|separator| matches!(separator, '-' | '_'))).then_some(code)
}
