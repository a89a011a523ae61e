//! What each operation under `/v1` asks of its caller, read from the OpenAPI document.
//!
//! An annotation names the permission, `security(("api_key" = ["jobs:write"]))`, or says that the operation is for strangers,
//! `security(())`. One that says neither, or that stands in the router of the other kind, stops the start: a new operation is
//! nobody's by mistake.

use axum::http::Method;
use postrider_shared::roles::Permission;
use serde_json::{Value, json};

use crate::by_route::ByRoute;
use crate::openapi::{Document, SCHEME};

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: signing in, for example.
    Open,
    /// This permission.
    Permission(Permission),
}

impl Access {
    /// What an operation's `security` says. None: nothing that counts.
    pub fn of(operation: &Value) -> Option<Self> {
        let security = operation["security"].as_array()?;
        if security.iter().eq([&json!({})]) {
            return Some(Self::Open);
        }
        security.iter().find_map(|one| one[SCHEME][0].as_str()?.parse().ok()).map(Self::Permission)
    }
}

/// An operation would be open to everybody, or to nobody. The process does not start with it.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Its annotation does not say who may.
    #[error("{method} {path} names no valid permission in its `security`, nor that it is open")]
    Undecided { method: Method, path: String },
    /// It is open, and in the router behind the layer that asks for a key.
    #[error("{method} {path} is marked open, but its router is not: move it to the open one")]
    OpenAmongPrivate { method: Method, path: String },
    /// It needs a permission, and nothing would ask for it.
    #[error("{method} {path} needs a permission, but its router is open to strangers: move it to the private one")]
    PrivateAmongOpen { method: Method, path: String },
}

/// Checks that each operation of the open router says that it is for strangers.
pub fn check_open(open: &Document) -> Result<(), AccessError> {
    for (method, path, operation) in open.operations().filter(|(_, path, _)| path.starts_with("/v1/")) {
        match Access::of(operation) {
            Some(Access::Open) => {}
            Some(Access::Permission(_)) => return Err(AccessError::PrivateAmongOpen { method, path }),
            None => return Err(AccessError::Undecided { method, path }),
        }
    }
    Ok(())
}

/// The permission each private operation needs.
#[derive(Debug, Clone)]
pub struct Needs(ByRoute<Permission>);

/// What a routed request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// This permission.
    Permission(Permission),
    /// The path has no such method, which the router says.
    NoSuchMethod,
    /// The path is not in the document: nobody decided who may.
    Undecided,
}

impl Needs {
    /// Reads the private router's document; every operation must name a permission.
    pub fn of(private: &Document) -> Result<Self, AccessError> {
        let read = private.operations().map(|(method, path, operation)| match Access::of(operation) {
            Some(Access::Permission(permission)) => Ok((method, path, permission)),
            Some(Access::Open) => Err(AccessError::OpenAmongPrivate { method, path }),
            None => Err(AccessError::Undecided { method, path }),
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    /// What a routed request needs.
    pub fn needed(&self, method: &Method, path: &str) -> Need {
        match self.0.get(method, path) {
            Some(permission) => Need::Permission(*permission),
            None if self.0.has(path) => Need::NoSuchMethod,
            None => Need::Undecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(security: &Value) -> Document {
        let mut operation = json!({ "responses": {} });
        if !security.is_null() {
            operation["security"] = security.clone();
        }
        let whole = json!({ "openapi": "3.1.0", "info": { "title": "t", "version": "1" }, "paths": { "/v1/things": { "get": operation } } });
        Document::of(&serde_json::from_value(whole).unwrap()).unwrap()
    }

    #[test]
    fn an_operation_nobody_decided_on_stops_the_start() {
        for undecided in [json!(null), json!([]), json!([{ "api_key": [] }]), json!([{ "api_key": ["things:read"] }])] {
            let document = document(&undecided);
            assert!(matches!(Needs::of(&document), Err(AccessError::Undecided { .. })), "{undecided}");
            assert!(matches!(check_open(&document), Err(AccessError::Undecided { .. })), "{undecided}");
        }
    }

    #[test]
    fn open_and_private_operations_are_not_mixed_up() {
        let (open, private) = (document(&json!([{}])), document(&json!([{ "api_key": ["jobs:read"] }])));
        assert!(matches!(Needs::of(&open), Err(AccessError::OpenAmongPrivate { .. })));
        assert!(matches!(check_open(&private), Err(AccessError::PrivateAmongOpen { .. })));
        check_open(&open).unwrap();
        let needs = Needs::of(&private).unwrap();
        assert_eq!(needs.needed(&Method::HEAD, "/v1/things"), Need::Permission(Permission::JobsRead));
        assert_eq!(needs.needed(&Method::POST, "/v1/things"), Need::NoSuchMethod);
        assert_eq!(needs.needed(&Method::GET, "/v1/other"), Need::Undecided);
    }

    #[test]
    fn a_key_beside_an_empty_requirement_is_not_open() {
        let both = json!([{}, { "api_key": ["jobs:read"] }]);
        assert_eq!(Access::of(&json!({ "security": both })), Some(Access::Permission(Permission::JobsRead)));
    }
}
