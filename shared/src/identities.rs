//! Who people are elsewhere: at Google, or at another issuer of ID tokens.
//!
//! Somebody from elsewhere is known by issuer and subject, never by an address alone. Whose address a token names is another question,
//! which only few issuers can answer for good: those that manage the address themselves. So
//! * an account is found by its address only on the word of such an issuer; everybody else signs in as before, and links;
//! * an account that began on the word of another issuer is not found by its address at all: whoever it was made for by somebody else
//!   would share it with them. Choosing a password by mail, which proves the address, removes such identities.

mod entering;
mod proven;
mod row;
mod store;

pub use entering::{Entered, Newcomer};
pub use proven::Proven;
pub use row::Model as Identity;
pub(crate) use store::forget_doubtful;
pub use store::{Identities, MOST};
