//! From bytes to the parser, one function each.

pub(crate) mod documents;
pub(crate) mod issuers;
pub(crate) mod links;
pub(crate) mod mail;
pub(crate) mod mailbox;
pub(crate) mod model;
pub(crate) mod pricing;
pub(crate) mod requests;
