//! A mailbox whose server gave trouble is left alone, longer each time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt as _;
use sea_orm::{
    ColumnTrait, Condition,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
        PrimaryKeyTrait,
    },
};

use crate::{
    ids::{AccountId, TenantId},
    words::words,
};

const FIRST: Duration = Duration::from_secs(2);
/// After an outage of any length a mailbox is looked at again within this time.
const LONGEST: Duration = Duration::from_mins(15);

/// What is further away was written by a clock that is ahead, and does not hold: twice the longest pause after a failure, and of a way
/// that is not open.
const FURTHEST: TimeDelta = TimeDelta::minutes(30);
const FURTHEST_UNOPEN: TimeDelta = TimeDelta::days(1);

words! {
    /// What was tried. Each has a patience of its own: a server that ends every IDLE connection may still be read.
    "way to a mailbox"
    enum Way {
        /// An IDLE connection.
        Idle = "idle",
        /// Reading at the mailbox's interval.
        Poll = "poll",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mailbox_setbacks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    /// A [`Way`].
    pub way: String,
    pub tenant_id: TenantId,
    /// In a row.
    pub failures: i32,
    /// Not tried before.
    pub retry_at: DateTime<Utc>,
    pub error: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Setbacks because of which a mailbox is left alone now.
pub(super) fn hold(now: DateTime<Utc>) -> Condition {
    let after_failures = Condition::all().add(Column::Failures.gt(0)).add(Column::RetryAt.lte(now + FURTHEST));
    let unopen = Condition::all().add(Column::Failures.eq(0)).add(Column::RetryAt.lte(now + FURTHEST_UNOPEN));
    Condition::all().add(Column::RetryAt.gt(now)).add(Condition::any().add(after_failures).add(unopen))
}

/// How long to wait after so many failures in a row: twice as long each time, the last half of it by chance, so that the
/// mailboxes of a server that comes back do not all come at the same moment.
pub(super) fn delay(failures: i32) -> Duration {
    let doublings = u32::try_from(failures.max(1) - 1).unwrap_or_default().min(16);
    let whole = (FIRST * 2_u32.pow(doublings)).min(LONGEST);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_in_a_row_makes_the_pause_longer_up_to_a_bound() {
        for failures in 1..40 {
            let whole = (FIRST * 2_u32.pow(u32::try_from(failures - 1).unwrap().min(16))).min(LONGEST);
            let pause = delay(failures);
            assert!(pause >= whole / 2 && pause <= whole, "{failures}: {pause:?}");
        }
        assert!(delay(i32::MAX) <= LONGEST);
    }
}
