use std::time::Duration;

use chrono::{DateTime, Utc};
use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::TenantId;

/// Removes a tenant with all it has. Enqueued for its time when the deletion is asked for, for the whole platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeleteTenant {
    #[schema(value_type = uuid::Uuid)]
    pub tenant_id: TenantId,
    /// When it may begin, as it was promised. A deletion that was taken back and asked for again has another time, and another job.
    pub due: DateTime<Utc>,
}

impl Job for DeleteTenant {
    const KIND: JobKind = JobKind::new("delete_tenant");
    const QUEUE: QueueName = Queue::Upkeep.name();
    /// It must end at some time: what it removed is gone, and nobody else goes on.
    const MAX_ATTEMPTS: u32 = 100;
    /// What runs for the tenant may take long to stop.
    const MAX_SNOOZES: u32 = 10_000;
    const TIMEOUT: Duration = Duration::from_hours(6);

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(format!("{} {}", self.tenant_id, self.due.timestamp_micros()).into())
    }
}

impl Declared for DeleteTenant {
    const SUMMARY: &'static str = "Removes a tenant with all it has, after the time in which that could be taken back.";
}
