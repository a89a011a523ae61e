//! What a failed store means for the job that met it: a later try, or a person.

use postrider_queue::Stop;

use crate::database::StoreError;
use crate::objects::ObjectError;
use crate::telemetry::chain;

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            // Another run of the same job was faster: the next attempt finds its row and sees what is left to do.
            StoreError::Unavailable(_)
            | StoreError::Database(_)
            | StoreError::Conflict { .. }
            | StoreError::Taken { .. } => Self::retry(chain(&error)),
            StoreError::NotFound { .. }
            | StoreError::Invalid { .. }
            | StoreError::Formula(_)
            | StoreError::Unreadable { .. }
            | StoreError::Seal(_) => Self::fail(chain(&error)),
        }
    }
}

impl From<ObjectError> for Stop {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Store(_) => Self::retry(chain(&error)),
            ObjectError::NotFound(_) | ObjectError::Url(_) => Self::fail(chain(&error)),
        }
    }
}
