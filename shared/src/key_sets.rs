//! The keys by which issuers sign ID tokens, as they were last fetched.
//!
//! The API never calls an issuer: a job fetches the set into a row, the scheduler has that done before the row's end, and whoever
//! meets a key that is not in the set asks for it once more. All processes share one row per issuer, so that a crowd asks once.

mod key;
mod row;
mod store;

pub use key::PublicKey;
pub use row::Model as KeySet;
pub use store::{Asked, KeySets, LONGEST, SHORTEST, USUAL};
