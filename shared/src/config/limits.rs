//! Limits of providers and of tenants, which several processes tell the queue: it has to be the same for all of them.

use super::{Reader, Section};

/// What providers allow in a time, and what one tenant may hold of the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Units that one Gmail account may spend on API calls in a minute.
    pub gmail_units_per_minute: u32,
    /// How many jobs that read mailboxes run at once for one tenant, as many that have mails read by the model, and as many that send.
    pub mail_jobs_per_tenant: u32,
}

impl Section for LimitsConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let gmail_units_per_minute = reader.number("GMAIL_UNITS_PER_MINUTE", 500..=10_000_000);
        let mail_jobs_per_tenant = reader.number("MAIL_JOBS_PER_TENANT", 1..=10_000);
        Some(Self { gmail_units_per_minute: gmail_units_per_minute?, mail_jobs_per_tenant: mail_jobs_per_tenant? })
    }
}
