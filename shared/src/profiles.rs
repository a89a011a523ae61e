//! What people do with their own account that takes more than being signed in, so that a stolen session is not enough.

mod email;
mod leaving;
mod password;
mod proof;

pub use leaving::Left;
pub use proof::Proof;

use crate::{clock::Clock, database::Database, one_time_codes::OneTimeCodes, tenants::Tenants};

/// The table of people, as each sees their own row.
#[derive(Clone)]
pub struct Profiles {
    database: Database,
    clock: Clock,
    codes: OneTimeCodes,
    tenants: Tenants,
}

impl Profiles {
    pub fn new(database: Database, clock: Clock, codes: OneTimeCodes, tenants: Tenants) -> Self {
        Self { database, clock, codes, tenants }
    }
}
