//! People who sign in, and for which tenants they work. A person has one row, however many businesses; the role is the membership's.
//!
//! An address is proven before there is a user: by the code of a registration, the token of an invitation, or a verified identity.

mod email;
mod erasing;
pub(crate) mod member;
mod members;
mod password;
mod platform;
mod row;
mod store;

pub use email::Email;
pub use member::Model as Membership;
pub use members::{Member, Members};
pub use password::{MAX_PASSWORD, MIN_PASSWORD, PasswordError, Passwords, Verdict};
pub(crate) use row::Entity;
pub use row::Model as User;
pub use store::{NewUser, Users};
pub(crate) use {
    erasing::{erase, erase_if_idle, forget_address},
    members::{admins_beside, join, lock_tenant, members_beside},
    platform::{not_the_only_one, platform_admins, run_the_platform},
    store::{by_email, has, insert, lock, lock_to_remove, move_to, set_password},
};
