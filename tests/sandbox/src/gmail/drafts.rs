//! `users.drafts`.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::call::{self, Refusal};
use super::letter::Format;
use super::quota::Units;
use super::{sending, trouble};
use crate::faults::{FaultKind, Stage};
use crate::ledger::Headings;
use crate::office::Office;

type Shared = State<std::sync::Arc<Office>>;
type Answer = Result<Response, Refusal>;
/// Largest page.
const MOST: usize = 500;

/// Texts that faults may match on.
pub(super) fn texts(address: &str, raw: &[u8]) -> Vec<String> {
    let headings = Headings::of(raw);
    let to = super::letter::headers(raw).into_iter().find(|(name, _)| name.eq_ignore_ascii_case("to"));
    let to = to.map(|(_, value)| value);
    [Some(address.to_owned()), to, headings.subject, headings.message_id].into_iter().flatten().collect()
}

pub(super) fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

pub(super) async fn create(State(office): Shared, Path(user): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let resource = call::json(&body)?;
    let (raw, thread) = call::message(&resource["message"])?;
    made(&office, &headers, &user, raw, thread.as_deref()).await
}

/// Makes a draft of a message, however it came.
pub(super) async fn made(office: &Office, headers: &HeaderMap, user: &str, raw: Bytes, thread: Option<&str>) -> Answer {
    let address = call::admit(office, headers, user, Units::CREATE_DRAFT)?;
    let texts = texts(&address, &raw);
    trouble::suffer(office, Stage::Draft, &borrowed(&texts)).await?;
    let draft = office.gmail.lock().draft(&office.mailboxes, &address, raw, thread);
    let Some((id, letter)) = draft else { return Ok(trouble::not_found()) };
    trouble::suffer(office, Stage::Created, &borrowed(&texts)).await?;
    Ok(Json(json!({"id": id, "message": letter.reference()})).into_response())
}

pub(super) async fn update(
    State(office): Shared,
    Path((user, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let address = call::admit(&office, &headers, &user, Units::UPDATE_DRAFT)?;
    let resource = call::json(&body)?;
    let (raw, _) = call::message(&resource["message"])?;
    let mut state = office.gmail.lock();
    let message_id = state.next_id();
    let Some(letter) = state.postbox(&office.mailboxes, &address).drafts.get_mut(&id) else {
        return Ok(trouble::not_found());
    };
    (letter.raw, letter.id) = (raw, message_id);
    Ok(Json(json!({"id": id, "message": letter.reference()})).into_response())
}

pub(super) async fn get(
    State(office): Shared,
    Path((user, id)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Answer {
    let address = call::admit(&office, &headers, &user, Units::GET)?;
    trouble::suffer(&office, Stage::Lookup, &[&address, &id]).await?;
    let mut state = office.gmail.lock();
    let letter = state.postbox(&office.mailboxes, &address).drafts.get(&id);
    Ok(letter.map_or_else(trouble::not_found, |letter| {
        Json(json!({"id": id, "message": letter.shown(&Format::of(&query))})).into_response()
    }))
}

pub(super) async fn delete(
    State(office): Shared,
    Path((user, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let address = call::admit(&office, &headers, &user, Units::DELETE_DRAFT)?;
    let removed = office.gmail.lock().postbox(&office.mailboxes, &address).remove_draft(&id);
    Ok(removed.map_or_else(trouble::not_found, |_| StatusCode::NO_CONTENT.into_response()))
}

/// Newest first, in pages.
pub(super) async fn list(
    State(office): Shared,
    Path(user): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Answer {
    let address = call::admit(&office, &headers, &user, Units::LIST)?;
    let blind = trouble::suffer(&office, Stage::Lookup, &[&address]).await? == Some(FaultKind::MissingFields);
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let most = value("maxResults").and_then(|text| text.parse().ok()).unwrap_or(100_usize).clamp(1, MOST);
    let wanted = value("q").map(super::lookup::rfc_id);
    let mut state = office.gmail.lock();
    let drafts = &state.postbox(&office.mailboxes, &address).drafts;
    let before = value("pageToken").unwrap_or("s");
    let mut matching =
        drafts.iter().rev().filter(|(id, _)| id.as_str() < before).filter(|(_, letter)| {
            wanted.as_ref().is_none_or(|wanted| !blind && letter.headings().message_id == *wanted)
        });
    let page: Vec<_> = matching.by_ref().take(most).collect();
    let shown: Vec<Value> = page.iter().map(|(id, letter)| json!({"id": id, "message": letter.reference()})).collect();
    let mut answer = json!({"drafts": shown, "resultSizeEstimate": page.len()});
    if matching.next().is_some()
        && let Some((last, _)) = page.last()
    {
        answer["nextPageToken"] = last.as_str().into();
    }
    Ok(Json(answer).into_response())
}

pub(super) async fn send(State(office): Shared, Path(user): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let address = call::admit(&office, &headers, &user, Units::SEND)?;
    let id = call::json(&body)?["id"].as_str().unwrap_or_default().to_owned();
    let drafted = office.gmail.lock().postbox(&office.mailboxes, &address).drafts.get(&id).cloned();
    let Some(letter) = drafted else { return Ok(trouble::not_found()) };
    let texts = texts(&address, &letter.raw);
    trouble::suffer(&office, Stage::Send, &borrowed(&texts)).await?;
    // Taken out under the lock: of two calls at once, one finds it.
    let taken = office.gmail.lock().postbox(&office.mailboxes, &address).remove_draft(&id);
    let Some(letter) = taken else { return Ok(trouble::not_found()) };
    sending::sent(&office, &address, letter.raw.clone(), Some(letter.thread)).await
}
