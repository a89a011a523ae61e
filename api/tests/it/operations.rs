//! The operations that need a permission, as the document tells them.

use postrider_api::auth::access::Access;
use postrider_shared::roles::Permission;
use reqwest::Method;

/// An operation under `/v1`, with the permission it says it needs.
#[derive(Clone)]
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    pub method: Method,
    /// With the names of its parameters in braces.
    pub path: String,
    pub permission: Permission,
}

/// Whose ids a path takes: `jobs` in `/v1/jobs/{id}/cancel`.
pub fn resource(path: &str) -> &str {
    path.split('/').nth(if path.contains("/platform/users") { 3 } else { 2 }).unwrap()
}

/// All of them; those that are open to strangers are not among them.
pub fn operations() -> Vec<Operation> {
    let document = postrider_api::router::document().unwrap();
    let found: Vec<Operation> = document
        .operations()
        .filter(|(_, path, _)| path.starts_with("/v1/"))
        .filter_map(|(method, path, operation)| {
            let Some(Access::Permission(permission)) = Access::of(operation) else { return None };
            let id = operation["operationId"].as_str().unwrap().to_owned();
            Some(Operation { id, method: Method::from_bytes(method.as_str().as_bytes()).unwrap(), path, permission })
        })
        .collect();
    assert!(found.len() > 70, "only {} operations", found.len());
    found
}
