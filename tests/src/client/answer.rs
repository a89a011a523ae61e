//! One answer of the API, and what a test expects of it.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Job;
use crate::canaries;

/// Status, headers and body; a body that is not JSON is kept as a JSON string.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// Sends the request.
    ///
    /// # Panics
    /// When there is no answer at all; see [`Self::try_of`].
    pub async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends the request; an error means that no whole answer came.
    pub async fn try_of(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await?;
        if status >= 400 {
            canaries::must_not_tell("an error's answer", &text);
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        canaries::plant_shown(&body);
        Ok(Self { status, headers, body })
    }

    /// Any 2xx.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "expected success: {self:#?}");
        self.body
    }

    #[track_caller]
    #[expect(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "often only the status matters")]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// A problem of this type (the last segment of its URI), as problem+json with a title and a detail.
    #[track_caller]
    pub fn problem(self, status: u16, slug: &str) -> Value {
        let media_type = self.header("content-type").unwrap_or_default().to_owned();
        assert!(media_type.starts_with("application/problem+json"), "not problem+json: {self:#?}");
        assert_eq!(self.status, status, "{self:#?}");
        let kind = self.body["type"].as_str().unwrap_or_default();
        assert_eq!(kind.rsplit('/').next(), Some(slug), "{self:#?}");
        assert_eq!(self.body["status"], status, "{self:#?}");
        assert!(self.body["title"].as_str().is_some_and(|title| !title.is_empty()), "{self:#?}");
        self.body
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[track_caller]
    pub fn into<T: DeserializeOwned>(self) -> T {
        let shown = self.body.to_string();
        serde_json::from_value(self.body).unwrap_or_else(|error| panic!("{error} in {shown}"))
    }

    #[track_caller]
    pub fn into_job(self) -> Job {
        self.into()
    }
}
