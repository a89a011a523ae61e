//! JSON over HTTP, for the product's API and for the sandbox's control API.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

/// Why the demonstration cannot go on, in words for the person who watches it.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{what} cannot be reached: {error}")]
    Unreachable { what: String, error: reqwest::Error },
    #[error("{what} was refused ({status}): {body}")]
    Refused { what: String, status: u16, body: String },
    #[error("{what} answered something unexpected: {body}")]
    Unexpected { what: String, body: String },
    #[error("{path}: {error}")]
    File { path: String, error: String },
    #[error("{0}")]
    Other(String),
}

/// A server, with the headers every call needs.
#[derive(Debug, Clone)]
pub struct Server {
    client: Client,
    base: String,
    key: Option<String>,
    tenant: Option<String>,
}

impl Server {
    pub fn new(base: &str, key: Option<String>) -> Result<Self, DemoError> {
        let client = Client::builder()
            .timeout(Duration::from_secs(40))
            .no_proxy()
            .build()
            .map_err(|error| DemoError::Other(format!("no HTTP client: {error}")))?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), key, tenant: None })
    }

    /// The same server, for calls on behalf of a tenant.
    pub fn for_tenant(&self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Result<Value, DemoError> {
        self.json(Method::GET, path, None, None).await
    }

    /// A repeat with the same `once` gets the first answer instead of making a second thing.
    pub async fn post(&self, path: &str, body: &Value, once: &str) -> Result<Value, DemoError> {
        self.json(Method::POST, path, Some(body), Some(once)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, DemoError> {
        self.json(Method::PATCH, path, Some(body), None).await
    }

    pub async fn post_bytes(&self, path: &str, content_type: &str, body: Vec<u8>) -> Result<Value, DemoError> {
        let request = self.request(Method::POST, path).header("content-type", content_type).body(body);
        parse(path, self.send(path, request).await?).await
    }

    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>, DemoError> {
        let answer = self.send(path, self.request(Method::GET, path)).await?;
        let bytes = answer.bytes().await.map_err(|error| DemoError::Unreachable { what: path.to_owned(), error })?;
        Ok(bytes.to_vec())
    }

    /// All items of a list, page by page (at most 20 pages).
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, DemoError> {
        let mut items = Vec::new();
        let mut next = format!("{path}{}limit=200", if path.contains('?') { '&' } else { '?' });
        for _ in 0..20 {
            let page = self.get(&next).await?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("{path}{}limit=200&cursor={cursor}", if path.contains('?') { '&' } else { '?' });
        }
        Ok(items)
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: Option<&str>,
    ) -> Result<Value, DemoError> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(once) = once {
            request = request.header("idempotency-key", once);
        }
        parse(path, self.send(path, request).await?).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("postrider-tenant", tenant);
        }
        request
    }

    async fn send(&self, path: &str, request: RequestBuilder) -> Result<Response, DemoError> {
        let answer = request.send().await.map_err(|error| DemoError::Unreachable { what: path.to_owned(), error })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.text().await.unwrap_or_default();
        Err(DemoError::Refused { what: path.to_owned(), status: status.as_u16(), body })
    }
}

async fn parse(path: &str, answer: Response) -> Result<Value, DemoError> {
    let text = answer.text().await.map_err(|error| DemoError::Unreachable { what: path.to_owned(), error })?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).map_err(|_| DemoError::Unexpected { what: path.to_owned(), body: text })
}

/// A text field of an answer.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
