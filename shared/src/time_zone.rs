//! Time zones by their IANA name. Storage is in UTC; a zone says where a calendar day begins.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A time zone such as `Europe/Berlin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, DeriveValueType, ToSchema)]
#[sea_orm(value_type = "String")]
#[serde(transparent)]
#[schema(value_type = String, example = "Europe/Berlin")]
pub struct TimeZone(pub Tz);

/// The text is not the name of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone; write an IANA name such as Europe/Berlin")]
pub struct UnknownTimeZone(String);

impl TimeZone {
    pub const UTC: Self = Self(Tz::UTC);

    /// The calendar day in this zone.
    pub fn day_of(self, time: DateTime<Utc>) -> NaiveDate {
        time.with_timezone(&self.0).date_naive()
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for TimeZone {
    type Err = UnknownTimeZone;

    fn from_str(text: &str) -> Result<Self, UnknownTimeZone> {
        text.parse().map(Self).map_err(|_| UnknownTimeZone(text.chars().take(80).collect()))
    }
}
