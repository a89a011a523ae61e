//! Being signed in: one row per browser or client, and the chain of tokens that it was carried by.
//!
//! Of a token only its hash is kept. Each is good once: using it gives the next one, and using it again means that two have it, so
//! the whole session ends. Two kinds of second use are innocent, and told apart without a moment's grace for a thief:
//! * a client that lost the answer to a refresh asks again **with the `Idempotency-Key` of its first request**, which only it
//!   knows, and gets the same successor, for a minute and as long as that was not used;
//! * a browser sends several requests at once, so a replaced cookie stays good for a minute, and as long as its successor has not
//!   been seen.

mod chain;
mod cookie;
mod refresh;
mod row;
mod store;
mod token;

pub use cookie::Recognised;
pub use refresh::Rotation;
pub use row::{Carrier, EndedBy, Model as Session};
pub(crate) use store::end_all;
pub use store::{Begun, Sessions};
