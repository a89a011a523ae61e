//! `users.messages` and `users.threads`: finding what was sent.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::call;
use super::letter::Format;
use super::quota::Units;
use super::trouble;
use crate::faults::{FaultKind, Stage};
use crate::office::Office;

type Answer = Result<axum::response::Response, call::Refusal>;
type Shared = State<Arc<Office>>;

/// The id in `rfc822msgid:ID`; searches for anything else find nothing here.
pub(super) fn rfc_id(q: &str) -> Option<String> {
    let id = q.split_whitespace().find_map(|word| word.strip_prefix("rfc822msgid:"))?;
    Some(id.trim_start_matches('<').trim_end_matches('>').to_owned())
}

pub(super) async fn messages(
    State(office): Shared,
    Path(user): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Answer {
    let address = call::admit(&office, &headers, &user, Units::LIST)?;
    let blind = trouble::suffer(&office, Stage::Search, &[&address]).await? == Some(FaultKind::MissingFields);
    let q = query.iter().find(|(name, _)| name == "q").map(|(_, q)| q.as_str()).unwrap_or_default();
    let mut state = office.gmail.lock();
    let postbox = state.postbox(&office.mailboxes, &address);
    let found = rfc_id(q).and_then(|id| postbox.by_rfc.get(&id)).and_then(|id| postbox.letters.get(id));
    let found: Vec<Value> = found.into_iter().filter(|_| !blind).map(super::letter::Letter::reference).collect();
    let mut answer = json!({"resultSizeEstimate": found.len()});
    if !found.is_empty() {
        answer["messages"] = found.into();
    }
    Ok(Json(answer).into_response())
}

pub(super) async fn message(
    State(office): Shared,
    Path((user, id)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Answer {
    let address = call::admit(&office, &headers, &user, Units::GET)?;
    trouble::suffer(&office, Stage::Lookup, &[&address, &id]).await?;
    let mut state = office.gmail.lock();
    let letter = state.postbox(&office.mailboxes, &address).find(&id);
    Ok(letter.map_or_else(trouble::not_found, |letter| Json(letter.shown(&Format::of(&query))).into_response()))
}

pub(super) async fn thread(
    State(office): Shared,
    Path((user, id)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Answer {
    let address = call::admit(&office, &headers, &user, Units::GET_THREAD)?;
    let blind = trouble::suffer(&office, Stage::Lookup, &[&address, &id]).await? == Some(FaultKind::MissingFields);
    let mut state = office.gmail.lock();
    let postbox = state.postbox(&office.mailboxes, &address);
    let Some(ids) = postbox.threads.get(&id).filter(|ids| !ids.is_empty() && !blind) else {
        return Ok(trouble::not_found());
    };
    let format = Format::of(&query);
    let messages: Vec<Value> =
        ids.iter().filter_map(|id| postbox.find(id)).map(|letter| letter.shown(&format)).collect();
    Ok(Json(json!({"id": id, "historyId": "1", "messages": messages})).into_response())
}
