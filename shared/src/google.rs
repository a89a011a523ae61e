//! What the owners of Google accounts granted: tokens that log in to their mailboxes, sealed, and renewed by one process at a time.

mod grant;
mod grants;
mod renewal;
mod secrets;

pub use grant::Model as Grant;
pub use grants::Grants;
pub use renewal::{Granted, Renewal, Renewed};
pub use secrets::TokenSecret;
