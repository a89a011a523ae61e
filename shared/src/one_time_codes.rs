//! Codes that are mailed to an address and given back once: six digits, ten minutes, five tries, counted in the database.
//!
//! Who asks gets the code's id at once and gives it back with the code, so that nobody can use up or void another's code by asking
//! in his name. The digits stand sealed in the row, never in a payload; whether there is a code behind an id, only its mailbox tells.

mod purpose;
mod redeeming;
mod registration;
mod row;
mod store;

pub use purpose::CodePurpose;
pub use registration::{NewRegistration, Registered};
pub use row::Model as OneTimeCode;
pub use store::{CODE_DIGITS, Issued, OneTimeCodes};
