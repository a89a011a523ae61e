//! The id of what a POST makes.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;

/// What a request with an idempotency key hands to its handler. If a process ends after the handler's commit and before the answer
/// was stored, the repeat derives the same id and finds what was made, instead of making a second one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Once(Option<Uuid>);

impl Once {
    pub(super) const fn of(seed: Uuid) -> Self {
        Self(Some(seed))
    }

    /// The id: derived for a request that may be repeated, else a random one.
    pub fn id<T>(self, derived: impl FnOnce(&[&str]) -> T, random: impl FnOnce() -> T) -> T {
        self.0.map_or_else(random, |seed| derived(&["request", &seed.to_string()]))
    }
}

impl<S: Sync> FromRequestParts<S> for Once {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}
