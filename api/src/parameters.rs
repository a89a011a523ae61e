//! Path and query parameters, with problems instead of axum's plain texts.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path as AxumPath, Query as AxumQuery};
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Problem, ProblemType};

/// Query parameter by which a platform key may name its tenant on any call.
pub const TENANT_PARAMETER: &str = "tenant";

/// Path parameters. An id that cannot be one names nothing, so it is not found.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match AxumPath::<T>::from_request_parts(parts, state).await {
            Ok(AxumPath(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(Problem::new(ProblemType::NotFound, "The path holds something that is not an id."))
            }
            Err(rejection) => Err(Problem::internal(rejection)),
        }
    }
}

/// Query parameters; unknown ones are refused, because a mistyped filter that is ignored lists the wrong things.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let uri = without_tenant(&parts.uri)?;
        let AxumQuery(value) = AxumQuery::<T>::try_from_uri(&uri).map_err(|rejection| {
            let text = rejection.body_text();
            let detail = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, reason)| reason);
            Problem::new(ProblemType::InvalidQuery, detail)
        })?;
        Ok(Self(value))
    }
}

/// The tenant a query names, as written.
pub fn tenant_of(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("tenant="))
}

/// The URI without the `tenant` parameter, which is the caller's identity and no filter of the operation.
fn without_tenant(uri: &Uri) -> Result<Uri, Problem> {
    let query = uri.query().unwrap_or_default();
    if query.to_ascii_lowercase().contains("%00") {
        return Err(Problem::new(ProblemType::InvalidQuery, "Parameters must not contain the character U+0000."));
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| pair.split('=').next() != Some(TENANT_PARAMETER)).collect();
    format!("/?{}", kept.join("&"))
        .parse()
        .map_err(|_| Problem::new(ProblemType::InvalidQuery, "The query cannot be read."))
}
