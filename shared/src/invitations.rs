//! Invitations to work for a tenant, or to run the platform. The token in the mail proves the address of whoever accepts.

mod accepting;
mod row;
mod store;
mod token;

pub use accepting::{Acceptance, Accepted};
pub(crate) use accepting::{accept_in, open_one};
pub use row::Model as Invitation;
pub use store::{Invitations, Invited, NewInvitation};
