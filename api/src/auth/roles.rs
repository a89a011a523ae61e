//! Which role each operation needs, read from the OpenAPI document.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::Method;
use postrider_shared::api_keys::Role;

use crate::openapi::{Document, SCHEME};

/// The role each operation under `/v1` needs.
#[derive(Debug, Clone)]
pub struct Roles(Arc<HashMap<(Method, String), Role>>);

/// An operation would be open to everybody, or to nobody. The process does not start with it.
#[derive(Debug, thiserror::Error)]
#[error("{method} {path} names no valid role in its `security`")]
pub struct RolesError {
    method: Method,
    path: String,
}

impl Roles {
    /// Reads the document; every operation under `/v1` must name a role.
    pub fn of(document: &Document) -> Result<Self, RolesError> {
        let mut roles = HashMap::new();
        for (method, path, operation) in document.operations() {
            if !path.starts_with("/v1/") {
                continue;
            }
            let role = operation["security"][0][SCHEME][0].as_str().and_then(|role| role.parse().ok());
            let Some(role) = role else { return Err(RolesError { method, path }) };
            roles.insert((method, path), role);
        }
        Ok(Self(Arc::new(roles)))
    }

    /// The role a routed request needs. None: the path has no such method, which the router answers.
    pub fn needed(&self, method: &Method, path: &str) -> Option<Role> {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method, path.to_owned())).copied()
    }
}
