//! Which of a tenant's jobs go first.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::QueueError;

/// Which of a tenant's own jobs go first. It never touches other tenants, and never starves: while all three wait, 16 of
/// 21 places are for high, 4 for normal and 1 for low; what one cannot use goes to the others.
///
/// Within one lane and priority jobs start in the order in which they became available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After everything else.
    Low,
    /// What says nothing.
    #[default]
    Normal,
    /// Before everything else.
    High,
}

impl Priority {
    /// All of them, lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// For leaving it out of JSON.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
    pub(crate) fn is_normal(&self) -> bool {
        *self == Self::Normal
    }

    /// What follows a lane's name on the wire.
    pub(crate) fn mark(self) -> Option<u8> {
        match self {
            Self::Normal => None,
            Self::High => Some(1),
            Self::Low => Some(2),
        }
    }

    pub(crate) fn of_mark(mark: Option<&u8>) -> Self {
        Self::ALL.into_iter().find(|priority| priority.mark().as_ref() == mark).unwrap_or_default()
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Priority {
    type Err = QueueError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str() == text)
            .ok_or_else(|| QueueError::invalid("priority", format!("{text:?} is not low, normal or high")))
    }
}
