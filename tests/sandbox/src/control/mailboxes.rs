//! Mailboxes and the mail in them.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Shared, problem};
use crate::ledger::Headings;
use crate::mailboxes::{Delivery, Folder};

#[derive(Debug, Deserialize)]
pub(super) struct NewMailbox {
    address: String,
    password: String,
}

/// `?folder=` (INBOX), `?key=` (the same key is delivered once), `?received_at=` (RFC 3339, now).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filing {
    folder: Option<String>,
    key: Option<String>,
    received_at: Option<DateTime<Utc>>,
}

/// A message as a listing shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub uid: u32,
    pub received_at: DateTime<Utc>,
    pub bytes: usize,
    pub flags: Vec<String>,
    pub key: Option<String>,
    pub from: Option<String>,
    pub subject: Option<String>,
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
}

/// Where a delivered message lies; `created` is false if its key was known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    pub uid: u32,
    pub uid_validity: u32,
    pub created: bool,
}

pub(super) async fn list(State(office): Shared) -> Json<Value> {
    let addresses = office.mailboxes.addresses().into_iter();
    let mailboxes: Vec<Value> =
        addresses.map(|address| json!({"address": address, "idling": office.mailboxes.idling(&address)})).collect();
    Json(mailboxes.into())
}

pub(super) async fn create(State(office): Shared, Json(mailbox): Json<NewMailbox>) -> Response {
    if !mailbox.address.contains('@') || mailbox.address.contains(char::is_whitespace) {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "address must be an e-mail address");
    }
    let created = office.mailboxes.create(&mailbox.address, &mailbox.password);
    if !office.mailboxes.settled().await {
        return problem(StatusCode::INSUFFICIENT_STORAGE, "the mailbox could not be written");
    }
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    (status, Json(json!({"address": mailbox.address.to_lowercase(), "created": created}))).into_response()
}

pub(super) async fn deliver(
    State(office): Shared,
    Path(address): Path<String>,
    Query(filing): Query<Filing>,
    raw: Bytes,
) -> Response {
    let delivery =
        Delivery { folder: filing.folder, key: filing.key, received_at: filing.received_at, flags: Vec::new() };
    let Some(filed) = office.mailboxes.deliver(&address, delivery, as_on_the_wire(raw)) else {
        return problem(StatusCode::NOT_FOUND, "no such mailbox or folder");
    };
    if !office.mailboxes.settled().await {
        return problem(StatusCode::INSUFFICIENT_STORAGE, "the message could not be written");
    }
    let status = if filed.created { StatusCode::CREATED } else { StatusCode::OK };
    let delivered = Delivered { uid: filed.uid, uid_validity: filed.uid_validity, created: filed.created };
    (status, Json(delivered)).into_response()
}

pub(super) async fn messages(
    State(office): Shared,
    Path(address): Path<String>,
    Query(filing): Query<Filing>,
) -> Response {
    let name = filing.folder.unwrap_or_else(|| "INBOX".into());
    let listed = office.mailboxes.read(&address, |mailbox| mailbox.folder(&name).map(listing)).flatten();
    match listed {
        Some(listed) => Json(listed).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such mailbox or folder"),
    }
}

pub(super) async fn raw(
    State(office): Shared,
    Path((address, uid)): Path<(String, u32)>,
    Query(filing): Query<Filing>,
) -> Response {
    let name = filing.folder.unwrap_or_else(|| "INBOX".into());
    let raw = office.mailboxes.read(&address, |mailbox| Some(mailbox.folder(&name)?.get(uid)?.raw.clone())).flatten();
    match raw {
        Some(raw) => ([("content-type", "message/rfc822")], raw).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such message"),
    }
}

fn listing(folder: &Folder) -> Vec<Listed> {
    let list = |message: &crate::mailboxes::Message| {
        let headings = Headings::of(&message.raw);
        Listed {
            uid: message.uid,
            received_at: message.received_at,
            bytes: message.raw.len(),
            flags: message.flags.clone(),
            key: folder.key_of(message.uid).map(str::to_owned),
            from: headings.from,
            subject: headings.subject,
            message_id: headings.message_id,
            in_reply_to: headings.in_reply_to,
        }
    };
    folder.messages.iter().map(list).collect()
}

/// A file with bare line feeds gets CRLF, as any server would have made of it; one with CRLF is left alone.
fn as_on_the_wire(raw: Bytes) -> Bytes {
    if raw.windows(2).any(|pair| pair == b"\r\n") {
        return raw;
    }
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 40);
    for byte in &raw {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out.into()
}
