//! One request and its answer.

use bytes::Bytes;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::{Gmail, GmailError};
use crate::providers::network;
use crate::providers::told::Told;

/// More than a thread of thousands of messages needs.
const MAX_BODY: usize = 8 * 1024 * 1024;

impl Gmail {
    pub(super) fn request(&self, method: Method, path: &str, token: &SecretString) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        request.bearer_auth(token.expose_secret()).timeout(self.timeout)
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, GmailError> {
        let body = self.call(request).await?;
        serde_json::from_slice(&body).map_err(|error| GmailError::Malformed { detail: error.to_string() })
    }

    /// The body of a successful answer.
    pub(super) async fn call(&self, request: RequestBuilder) -> Result<Bytes, GmailError> {
        let request = request.build().map_err(|error| GmailError::network(&error))?;
        let told = Told::headers(request.headers());
        let response = self.http.execute(request).await.map_err(|error| GmailError::network(&error))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = network::body(response, MAX_BODY).await;
        if status.is_success() {
            return Ok(body?);
        }
        // What the status says holds even if the words are lost; only these leave it to their words whether they are for good.
        let body = match body {
            Err(error) if matches!(status.as_u16(), 400 | 403) => {
                let detail = format!("its reason is lost: {error}");
                return Err(GmailError::Conflict { status: status.as_u16(), detail });
            }
            body => body.unwrap_or_default(),
        };
        Err(GmailError::refused(status.as_u16(), (&headers, &told), &body, self.clock.now()))
    }
}
