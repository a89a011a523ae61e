//! One request and its answer.

use bytes::{Bytes, BytesMut};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::{Gmail, GmailError};
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
        let body = body(response).await;
        if status.is_success() {
            return body;
        }
        // What the status says holds even if the words are lost.
        let body = body.unwrap_or_default();
        Err(GmailError::refused(status.as_u16(), (&headers, &told), &body, self.clock.now()))
    }
}

async fn body(mut response: Response) -> Result<Bytes, GmailError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| GmailError::network(&error))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(GmailError::Malformed { detail: format!("the answer is longer than {MAX_BODY} bytes") });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
