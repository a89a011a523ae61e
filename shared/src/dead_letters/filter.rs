//! Which dead letters are meant, and in which groups they fall.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

use super::{Column, DeadLetterState, DeadLetters, Entity};
use crate::{
    database::{StoreError, reach::within_reach},
    ids::TenantId,
};

/// Which of a tenant's dead letters are meant. An empty filter means all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeadLetterState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The group of errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Died at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died_after: Option<DateTime<Utc>>,
    /// Died before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died_before: Option<DateTime<Utc>>,
}

impl DeadLetterFilter {
    pub(super) fn condition(&self, tenant: TenantId) -> Condition {
        Condition::all()
            .add(Column::TenantId.eq(tenant))
            .add_option(self.state.map(|state| Column::State.eq(state)))
            .add_option(self.kind.as_deref().map(|kind| Column::Kind.eq(kind)))
            .add_option(self.queue.as_deref().map(|queue| Column::Queue.eq(queue)))
            .add_option(self.group.as_deref().map(|group| Column::ErrorGroup.eq(group)))
            .add_option(self.died_after.map(|at| Column::DiedAt.gte(within_reach(at))))
            .add_option(self.died_before.map(|at| Column::DiedAt.lt(within_reach(at))))
    }
}

/// Dead letters of one kind that died of the same thing.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct DeadLetterGroup {
    pub error_group: String,
    pub kind: String,
    pub letters: i64,
    pub first_died_at: DateTime<Utc>,
    pub last_died_at: DateTime<Utc>,
    /// One of the errors.
    pub error: String,
}

impl DeadLetters {
    /// A tenant's dead letters by error, the largest groups first, at most `limit` of them.
    pub async fn groups(
        &self,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        limit: u64,
    ) -> Result<Vec<DeadLetterGroup>, StoreError> {
        let letters = Column::Id.count();
        let select = Entity::find()
            .select_only()
            .column(Column::ErrorGroup)
            .column(Column::Kind)
            .column_as(letters.clone(), "letters")
            .column_as(Column::DiedAt.min(), "first_died_at")
            .column_as(Column::DiedAt.max(), "last_died_at")
            .column_as(Column::Error.min(), "error")
            .filter(filter.condition(tenant))
            .group_by(Column::ErrorGroup)
            .group_by(Column::Kind)
            .order_by_desc(letters)
            .order_by_asc(Column::ErrorGroup)
            .limit(limit);
        Ok(select.into_model::<DeadLetterGroup>().all(self.reader()).await?)
    }
}
