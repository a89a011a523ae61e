//! What the owners of Google accounts granted: tokens that log in to their mailboxes, sealed, and renewed by one process at a time.

mod consent;
mod consents;
mod grant;
mod grants;
mod renewal;
mod secrets;

pub use consent::{ConsentState, Model as Consent};
pub use consents::{Asked, ConsentError, Consents, OwnersAnswer, proven};
pub use grant::Model as Grant;
pub use grants::Grants;
pub use renewal::{Granted, Renewal, Renewed};
pub use secrets::TokenSecret;
