//! A typed client of the control API, for test harnesses and benchmarks.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::control::accepted::Wanted;
use crate::control::mailboxes::{Delivered, Listed};
use crate::faults::{Fault, Standing};
use crate::gmail;
use crate::google::{AccessToken, Calls, GoodTokens, Orders};
use crate::ledger::Accepted;
use crate::llm::Served;
use crate::oidc;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the sandbox does not answer: {0}")]
    Transport(#[from] reqwest::Error),
    #[error("the sandbox answered {status}: {body}")]
    Refused { status: u16, body: String },
}

type Answer<T> = Result<T, ClientError>;

#[derive(Debug, Deserialize)]
struct Waited {
    address: String,
    idling: usize,
}

#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    control_url: String,
}

impl Client {
    /// `control_url` as the sandbox prints it: `http://127.0.0.1:port/control`.
    pub fn new(control_url: &str) -> Self {
        // reqwest is built without a provider of its own; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: reqwest::Client::new(), control_url: control_url.trim_end_matches('/').to_owned() }
    }

    /// Makes a mailbox, or changes its password.
    pub async fn create_mailbox(&self, address: &str, password: &str) -> Answer<()> {
        let request = self.request(Method::POST, "/mailboxes").json(&json!({"address": address, "password": password}));
        send(request).await.map(drop)
    }

    /// How many connections wait for mail, by address.
    pub async fn idling(&self) -> Answer<BTreeMap<String, usize>> {
        let mailboxes: Vec<Waited> = read(self.request(Method::GET, "/mailboxes")).await?;
        Ok(mailboxes.into_iter().map(|mailbox| (mailbox.address, mailbox.idling)).collect())
    }

    /// Puts a raw message into the INBOX; the same `key` again changes nothing.
    pub async fn deliver(&self, address: &str, raw: impl Into<Bytes>, key: Option<&str>) -> Answer<Delivered> {
        let request = self.request(Method::POST, &format!("/mailboxes/{address}/messages"));
        let query: Vec<(&str, &str)> = key.map(|key| ("key", key)).into_iter().collect();
        read(request.query(&query).body(raw.into())).await
    }

    /// The INBOX, oldest first.
    pub async fn messages(&self, address: &str) -> Answer<Vec<Listed>> {
        read(self.request(Method::GET, &format!("/mailboxes/{address}/messages"))).await
    }

    pub async fn message(&self, address: &str, uid: u32) -> Answer<Bytes> {
        let request = self.request(Method::GET, &format!("/mailboxes/{address}/messages/{uid}/raw"));
        Ok(send(request).await?.bytes().await?)
    }

    /// Everything accepted so far, oldest first.
    pub async fn accepted(&self) -> Answer<Vec<Accepted>> {
        self.accepted_where(&Wanted::default()).await
    }

    /// Waits until `count` messages were accepted; after `patience` it returns what there is.
    pub async fn wait_accepted(&self, count: usize, patience: Duration) -> Answer<Vec<Accepted>> {
        let timeout_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.accepted_where(&Wanted { wait_for: count, timeout_ms, ..Wanted::default() }).await
    }

    pub async fn accepted_where(&self, wanted: &Wanted) -> Answer<Vec<Accepted>> {
        read(self.request(Method::GET, "/accepted").query(wanted)).await
    }

    pub async fn accepted_raw(&self, seq: u64) -> Answer<Bytes> {
        Ok(send(self.request(Method::GET, &format!("/accepted/{seq}/raw"))).await?.bytes().await?)
    }

    /// The requests that the LLM endpoint served.
    pub async fn llm(&self) -> Answer<Vec<Served>> {
        read(self.request(Method::GET, "/llm")).await
    }

    pub async fn order(&self, fault: &Fault) -> Answer<Standing> {
        read(self.request(Method::POST, "/faults").json(fault)).await
    }

    /// All faults since the last clearing, with how often each struck.
    pub async fn faults(&self) -> Answer<Vec<Standing>> {
        read(self.request(Method::GET, "/faults")).await
    }

    pub async fn clear_faults(&self) -> Answer<()> {
        send(self.request(Method::DELETE, "/faults")).await.map(drop)
    }

    /// What the Gmail API shows of a mailbox, and what the mailbox spent there.
    pub async fn gmail(&self, address: &str) -> Answer<gmail::Figures> {
        read(self.request(Method::GET, &format!("/gmail/{address}"))).await
    }

    /// Settings of the Gmail API, such as `{"units_per_minute": 600}`.
    pub async fn set_gmail(&self, settings: &serde_json::Value) -> Answer<()> {
        send(self.request(Method::POST, "/gmail").json(settings)).await.map(drop)
    }

    /// A draft that somebody writes by hand.
    pub async fn write_draft(&self, address: &str, raw: impl Into<Bytes>) -> Answer<()> {
        send(self.request(Method::POST, &format!("/gmail/{address}/drafts")).body(raw.into())).await.map(drop)
    }

    /// How often an issuer of ID tokens was called.
    pub async fn issuer(&self, name: &str) -> Answer<oidc::Seen> {
        read(self.request(Method::GET, &format!("/oidc/{name}"))).await
    }

    /// How an issuer of ID tokens is from now on.
    pub async fn order_issuer(&self, name: &str, orders: &oidc::Orders) -> Answer<()> {
        send(self.request(Method::POST, &format!("/oidc/{name}")).json(orders)).await.map(drop)
    }

    /// An issuer signs with another key from now on, and takes the old one back.
    pub async fn rotate_issuer(&self, name: &str) -> Answer<()> {
        send(self.request(Method::POST, &format!("/oidc/{name}/rotate"))).await.map(drop)
    }

    /// A token with these claims, beside those that an issuer adds.
    pub async fn id_token(&self, issuer: &str, claims: &serde_json::Value) -> Answer<String> {
        let wanted = json!({ "claims": claims });
        let minted: oidc::Minted =
            read(self.request(Method::POST, &format!("/oidc/{issuer}/tokens")).json(&wanted)).await?;
        Ok(minted.id_token)
    }

    /// How often each of Google's endpoints was called.
    pub async fn google(&self) -> Answer<Calls> {
        read(self.request(Method::GET, "/google")).await
    }

    /// How consents and tokens go from now on.
    pub async fn order_google(&self, orders: &Orders) -> Answer<()> {
        send(self.request(Method::POST, "/google").json(orders)).await.map(drop)
    }

    /// All access tokens of a mailbox expire now.
    pub async fn expire_tokens(&self, address: &str) -> Answer<()> {
        send(self.request(Method::POST, &format!("/google/{address}/expire"))).await.map(drop)
    }

    /// The owner of a mailbox takes every grant back.
    pub async fn revoke_grants(&self, address: &str) -> Answer<()> {
        send(self.request(Method::POST, &format!("/google/{address}/revoke"))).await.map(drop)
    }

    /// How many tokens of a mailbox are good at the moment.
    pub async fn standing_tokens(&self, address: &str) -> Answer<GoodTokens> {
        read(self.request(Method::GET, &format!("/google/{address}/tokens"))).await
    }

    /// Tokens of a mailbox without a consent.
    pub async fn issue_tokens(&self, address: &str) -> Answer<AccessToken> {
        read(self.request(Method::POST, &format!("/google/{address}/tokens"))).await
    }

    /// Forgets mailboxes, ledger, faults and requests.
    pub async fn reset(&self) -> Answer<()> {
        send(self.request(Method::POST, "/reset")).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.control_url))
    }
}

async fn send(request: RequestBuilder) -> Answer<Response> {
    let response = request.send().await?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(ClientError::Refused { status: status.as_u16(), body: response.text().await? })
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Answer<T> {
    Ok(send(request).await?.json().await?)
}
