//! Which of a tenant's jobs go first, as the API tells it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which of the tenant's jobs go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After everything else; it still gets a share.
    Low,
    /// What says nothing.
    Normal,
    /// Before everything else.
    High,
}

impl From<postrider_queue::Priority> for Priority {
    fn from(priority: postrider_queue::Priority) -> Self {
        use postrider_queue::Priority as Engine;
        match priority {
            Engine::Low => Self::Low,
            Engine::Normal => Self::Normal,
            Engine::High => Self::High,
        }
    }
}

impl From<Priority> for postrider_queue::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Low => Self::Low,
            Priority::Normal => Self::Normal,
            Priority::High => Self::High,
        }
    }
}
