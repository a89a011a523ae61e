//! Who did something, as histories name it.

use std::fmt;

use crate::ids::{ApiKeyId, SessionId, UserId};

/// Whoever a request acts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A program, by its key.
    Key(ApiKeyId),
    /// A person who signed in.
    User {
        /// Who.
        user: UserId,
        /// Through which sign-in.
        session: SessionId,
    },
}

impl Actor {
    /// Who it is, if that is a person.
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::Key(_) => None,
            Self::User { user, .. } => Some(user),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "key {key}"),
            Self::User { user, .. } => write!(f, "user {user}"),
        }
    }
}
