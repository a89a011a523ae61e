//! The OpenAPI 3.1 document. Paths and schemas come from the handlers; here it gets what all operations share, and
//! the payload of each job kind, which only the catalogue knows.

mod complete;
mod payloads;

use axum::http::Method;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::problem::ProblemDocument;

/// Name of the security scheme; operations name the permission they need under it.
pub const SCHEME: &str = "api_key";

/// What does not belong to a single operation.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postrider",
        description = "Durable jobs for business messaging. Every `/v1` call but those that sign in needs `Authorization: Bearer pr_…`, \
            or the access token or cookie of a person who is signed in. \
            A tenant's key sees its tenant only; a platform key names one by the header `Postrider-Tenant`. \
            Errors are `application/problem+json` out of a closed catalogue. Lists are paged by cursor. \
            A POST with an `Idempotency-Key` can be repeated without being done twice; those that strangers may send refuse one, \
            but for `refresh`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Security)
)]
pub struct Base;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("pr_<prefix>_<secret>")
            .description(Some("An API key. Operations name the permission the key must have; `x-postrider-roles` says which roles have it."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
    }
}

/// The finished document.
#[derive(Debug, Clone)]
pub struct Document(Value);

impl Document {
    /// Completes what the router collected.
    pub fn of(collected: &utoipa::openapi::OpenApi) -> Result<Self, serde_json::Error> {
        let mut value = serde_json::to_value(collected)?;
        complete::complete(&mut value);
        payloads::describe(&mut value);
        Ok(Self(value))
    }

    /// The document as JSON.
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// Every operation: method, path, description.
    pub fn operations(&self) -> impl Iterator<Item = (Method, String, &Value)> {
        let paths = self.0["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, item)| {
            let operations = item.as_object().into_iter().flatten();
            operations.filter_map(|(method, operation)| {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).ok()?;
                Some((method, path.clone(), operation))
            })
        })
    }
}
