//! Sending: into the ledger, into the sender's Sent folder, and to the mailboxes that are kept here.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use bytes::Bytes;
use mail_parser::MessageParser;

use super::call;
use super::drafts::{borrowed, texts};
use super::letter::{Format, Letter, renamed};
use super::quota::Units;
use super::{store, trouble};
use crate::faults::Stage;
use crate::ledger::Envelope;
use crate::mailboxes::Delivery;
use crate::office::Office;

type Answer = Result<axum::response::Response, call::Refusal>;

pub(super) async fn send(
    State(office): State<Arc<Office>>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let (raw, thread) = call::message(&call::json(&body)?)?;
    at_once(&office, &headers, &user, raw, thread).await
}

/// A message that never was a draft.
pub(super) async fn at_once(
    office: &Arc<Office>,
    headers: &HeaderMap,
    user: &str,
    raw: Bytes,
    thread: Option<String>,
) -> Answer {
    let address = call::admit(office, headers, user, Units::SEND)?;
    trouble::suffer(office, Stage::Send, &borrowed(&texts(&address, &raw))).await?;
    let drafted = office.gmail.lock().draft(&office.mailboxes, &address, raw, thread.as_deref());
    let Some((id, letter)) = drafted else { return Ok(trouble::not_found()) };
    office.gmail.lock().postbox(&office.mailboxes, &address).remove_draft(&id);
    sent(office, &address, letter.raw.clone(), Some(letter.thread)).await
}

/// Sends a message that is in nobody else's hands.
pub(super) async fn sent(office: &Arc<Office>, address: &str, raw: Bytes, thread: Option<String>) -> Answer {
    let recipients = recipients(&raw);
    if recipients.is_empty() {
        return Ok(trouble::error(400, "invalidArgument", "Recipient address required"));
    }
    let texts = texts(address, &raw);
    // A client that goes away does not stop what Google began: that is half of what tests are about.
    let (there, from) = (Arc::clone(office), address.to_owned());
    let begun = office.begin(async move { carried_out(&there, from, recipients, raw, thread).await });
    let Ok(Some(letter)) = begun.await else {
        return Ok(trouble::error(503, "backendError", "The ledger could not be written"));
    };
    trouble::suffer(office, Stage::Accepted, &borrowed(&texts)).await?;
    Ok(Json(letter.shown(&Format::Minimal)).into_response())
}

async fn carried_out(
    office: &Office,
    address: String,
    rcpt_to: Vec<String>,
    raw: Bytes,
    thread: Option<String>,
) -> Option<Letter> {
    let (id, keeps) = {
        let mut state = office.gmail.lock();
        (state.next_id(), state.keeps_message_ids)
    };
    let raw = if keeps { raw } else { renamed(&raw, &format!("CA-{id}@mail.gmail.example")) };
    let envelope = Envelope { account: Some(address.clone()), mail_from: address.clone(), rcpt_to };
    let accepted = office.ledger.record(envelope, raw.clone()).await.ok()?;
    office.deliver_locally(&accepted, &raw);
    let filed = Delivery { folder: Some("Sent".to_owned()), flags: vec!["\\Seen".to_owned()], ..Delivery::default() };
    let _ = office.mailboxes.deliver(&address, filed, raw.clone());
    let thread = thread.unwrap_or_else(|| id.clone());
    let letter = Letter { id, thread, label: store::SENT, at: accepted.accepted_at, raw };
    office.gmail.lock().postbox(&office.mailboxes, &address).add(letter.clone());
    Some(letter)
}

fn recipients(raw: &[u8]) -> Vec<String> {
    let Some(message) = MessageParser::new().parse_headers(raw) else { return Vec::new() };
    let fields = [message.to(), message.cc(), message.bcc()].into_iter().flatten();
    fields.flat_map(|field| field.iter()).filter_map(|one| one.address().map(str::to_owned)).collect()
}
