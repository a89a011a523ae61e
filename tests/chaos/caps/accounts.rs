//! Accounts in several time zones, and the windows in which each may send.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use postrider_queue::{CapSpec, Lane, LaneName, ScopeKey, ScopeLimits, Tenant, Window, calendar_days};

/// The day before the clocks of Europe change. In the Azores that happens at midnight, so midnight does not exist there.
pub const START: &str = "2026-03-28T12:00:00Z";
const DAY: Duration = Duration::from_hours(24);

/// Accounts that may send anew at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A cap per calendar day of this zone.
    Day(Tz),
    /// A cap per moving 24 hours.
    Moving,
}

pub const GROUPS: [Group; 6] = [
    Group::Day(Tz::Atlantic__Azores),
    Group::Day(Tz::Europe__Berlin),
    Group::Moving,
    Group::Day(Tz::Europe__London),
    Group::Day(Tz::Asia__Kolkata),
    Group::Day(Tz::America__New_York),
];

/// One account, with a scope of its own.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    pub number: usize,
    pub group: Group,
    pub cap: usize,
}

pub fn start() -> DateTime<Utc> {
    START.parse().expect("a time")
}

impl Group {
    /// The windows that the drill goes through. For a moving cap: while the first is used, and a day later.
    pub fn windows(self, count: usize) -> Vec<Window> {
        let days = u32::try_from(count).unwrap_or(u32::MAX);
        match self {
            Self::Day(zone) => calendar_days(zone, start(), days),
            Self::Moving => calendar_days(Tz::UTC, start(), days)
                .iter()
                .map(|window| Window {
                    starts_at: window.starts_at + TimeDelta::hours(12),
                    ends_at: window.ends_at + TimeDelta::hours(12),
                    used_before: 0,
                })
                .collect(),
        }
    }
}

impl Account {
    /// So many, the groups in turn.
    pub fn all(count: usize, groups: usize, cap: usize) -> Vec<Self> {
        (0..count).map(|number| Self { number, group: GROUPS[number % groups], cap }).collect()
    }

    pub fn tenant(self) -> Tenant {
        Tenant::parse(format!("drill-{}", self.number % 20)).expect("a tenant's name")
    }

    pub fn scope(self) -> ScopeKey {
        ScopeKey::parse(format!("account:{}", self.number)).expect("a scope's name")
    }

    pub fn lane(self) -> Lane {
        Lane::with_scopes(
            LaneName::parse(format!("account:{}", self.number)).expect("a lane's name"),
            vec![self.scope()],
        )
    }

    pub fn limits(self) -> ScopeLimits {
        let cap = match self.group {
            Group::Day(_) => CapSpec::calendar(self.cap as u64, self.group.windows(14)),
            Group::Moving => CapSpec::moving(self.cap as u64, DAY),
        };
        ScopeLimits::caps(vec![cap])
    }

    /// The most that was accepted in any of its windows; `accepted` in order of time.
    pub fn most_in_a_window(self, accepted: &[DateTime<Utc>]) -> usize {
        match self.group {
            Group::Day(_) => {
                let within = |window: &Window| {
                    let inside = accepted.iter().filter(|at| (window.starts_at..window.ends_at).contains(at));
                    inside.count()
                };
                self.group.windows(14).iter().map(within).max().unwrap_or_default()
            }
            Group::Moving => {
                let (mut first, mut most) = (0, 0);
                for (last, at) in accepted.iter().enumerate() {
                    while *at - accepted[first] >= TimeDelta::hours(24) {
                        first += 1;
                    }
                    most = most.max(last + 1 - first);
                }
                most
            }
        }
    }
}
