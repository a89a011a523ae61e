//! The Gmail API, for sending: drafts, which are sent once, and looking up what became of them.
//!
//! A message is sent in two calls. The first makes a draft and changes nothing for the recipient; the second sends it and takes it
//! out of the mailbox in one step at Google. So of any number of calls that send the same draft, one sends it, and the others
//! hear that there is no such draft. That is what exactly-once sending rests on here.
//!
//! Nothing is repeated in here, and nobody waits: every call is one request, its error says what may have happened.

mod answer;
mod call;
mod error;
mod upload;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postrider_shared::clock::Clock;
use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

pub use self::answer::{DraftPage, Drafted, Filed, Letter};
pub use self::error::GmailError;
use super::transport::Trust;

/// Above this a message goes by upload: in JSON it would be a third larger, and Google takes some 5 MB of that.
const LARGEST_IN_JSON: usize = 3_500_000;
/// Google takes no larger message.
const LARGEST: usize = 35 * 1024 * 1024;
/// The slowest upload worth waiting for, in bytes per second.
const SLOWEST_UPLOAD: u64 = 64 * 1024;
/// What tells our own drafts from those that a person wrote.
use crate::mail::OWN_MARK as LEDGER_HEADER;

/// How to reach the API.
#[derive(Debug, Clone)]
pub struct GmailSettings {
    /// `https://gmail.googleapis.com`
    pub base_url: String,
    /// For one answer; a large message gets as much longer as its size needs.
    pub timeout: Duration,
    pub trust: Trust,
}

/// A client for all mailboxes; every call takes the access token of one.
#[derive(Debug, Clone)]
pub struct Gmail {
    http: reqwest::Client,
    base_url: String,
    timeout: Duration,
    clock: Clock,
}

impl Gmail {
    pub fn new(settings: &GmailSettings, clock: Clock) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured((*settings.trust.client_config()).clone())
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let base_url = settings.base_url.trim_end_matches('/').to_owned();
        Ok(Self { http, base_url, timeout: settings.timeout, clock })
    }

    /// Makes a draft. [`GmailError::NotFound`] means that there is no such thread.
    pub async fn create_draft(
        &self,
        token: &SecretString,
        raw: &[u8],
        thread: Option<&str>,
    ) -> Result<Drafted, GmailError> {
        if raw.len() > LARGEST {
            return Err(GmailError::TooLarge { bytes: raw.len() });
        }
        let mut message = serde_json::Map::new();
        if let Some(thread) = thread {
            message.insert("threadId".to_owned(), thread.into());
        }
        let request = if raw.len() > LARGEST_IN_JSON {
            let (content_type, body) = upload::related(&json!({ "message": message }), raw);
            let patience = self.timeout + Duration::from_secs(raw.len() as u64 / SLOWEST_UPLOAD);
            let request = self.request(Method::POST, "/upload/gmail/v1/users/me/drafts", token);
            let request = request.query(&[("uploadType", "multipart")]).timeout(patience);
            request.header(reqwest::header::CONTENT_TYPE, content_type).body(body)
        } else {
            message.insert("raw".to_owned(), URL_SAFE_NO_PAD.encode(raw).into());
            self.request(Method::POST, "/gmail/v1/users/me/drafts", token).json(&json!({ "message": message }))
        };
        self.read(request).await
    }

    /// Sends a draft. [`GmailError::NotFound`] means that it was sent before, or deleted.
    pub async fn send_draft(&self, token: &SecretString, draft: &str) -> Result<Filed, GmailError> {
        let request = self.request(Method::POST, "/gmail/v1/users/me/drafts/send", token);
        self.read(request.json(&json!({ "id": draft }))).await
    }

    /// A draft with the headers that tell whose it is; `None` if there is no such draft.
    pub async fn draft(&self, token: &SecretString, draft: &str) -> Result<Option<Letter>, GmailError> {
        #[derive(Deserialize)]
        struct Wrapped {
            message: Letter,
        }
        let request = self.request(Method::GET, &format!("/gmail/v1/users/me/drafts/{}", segment(draft)), token);
        let found = self.read::<Wrapped>(request.query(&letter_query())).await;
        absent_is_none(found.map(|wrapped| wrapped.message))
    }

    /// Deletes a draft for good: nobody will send it. `false` if there is no such draft: it was sent before, or deleted.
    pub async fn delete_draft(&self, token: &SecretString, draft: &str) -> Result<bool, GmailError> {
        let path = format!("/gmail/v1/users/me/drafts/{}", segment(draft));
        let deleted = self.call(self.request(Method::DELETE, &path, token)).await;
        Ok(absent_is_none(deleted)?.is_some())
    }

    /// A page of drafts, newest first; with the Message-ID, those that carry it, which a new one may not do for a while.
    pub async fn drafts(
        &self,
        token: &SecretString,
        message_id: Option<&str>,
        page: Option<&str>,
    ) -> Result<DraftPage, GmailError> {
        let mut query = vec![("maxResults", "100".to_owned())];
        query.extend(message_id.map(|id| ("q", format!("rfc822msgid:{id}"))));
        query.extend(page.map(|page| ("pageToken", page.to_owned())));
        self.read(self.request(Method::GET, "/gmail/v1/users/me/drafts", token).query(&query)).await
    }

    /// A message's ids, labels and the headers that tell whose it is.
    pub async fn message(&self, token: &SecretString, id: &str) -> Result<Option<Letter>, GmailError> {
        let request = self.request(Method::GET, &format!("/gmail/v1/users/me/messages/{}", segment(id)), token);
        absent_is_none(self.read(request.query(&letter_query())).await)
    }

    /// The messages of a thread, drafts among them; none if there is no such thread.
    pub async fn thread(&self, token: &SecretString, id: &str) -> Result<Vec<Letter>, GmailError> {
        #[derive(Deserialize)]
        struct Thread {
            #[serde(default)]
            messages: Vec<Letter>,
        }
        let request = self.request(Method::GET, &format!("/gmail/v1/users/me/threads/{}", segment(id)), token);
        let found = absent_is_none(self.read::<Thread>(request.query(&letter_query())).await)?;
        Ok(found.map(|thread| thread.messages).unwrap_or_default())
    }

    /// The message with this Message-ID, as far as Google's index knows of it yet.
    pub async fn find(&self, token: &SecretString, message_id: &str) -> Result<Option<Filed>, GmailError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            messages: Vec<Filed>,
        }
        let query = [("q", format!("rfc822msgid:{message_id}")), ("maxResults", "1".to_owned())];
        let request = self.request(Method::GET, "/gmail/v1/users/me/messages", token).query(&query);
        Ok(self.read::<Found>(request).await?.messages.into_iter().next())
    }
}

/// `format=metadata`, with the headers that a [`Letter`] reads.
fn letter_query() -> Vec<(&'static str, &'static str)> {
    let mut query = vec![("format", "metadata")];
    query.extend(["Message-ID", LEDGER_HEADER].map(|header| ("metadataHeaders", header)));
    query
}

fn absent_is_none<T>(found: Result<T, GmailError>) -> Result<Option<T>, GmailError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(GmailError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Google's ids are letters, digits and few signs; whatever else comes must not leave its place in the path.
fn segment(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect()
}
