//! Settles sends whose answer was lost, as far as anybody can without the mail server: an attempt whose process ended after
//! its data started is `unknown`, and stays so for a week, in which a person or late news may decide it. It is never sent
//! again by itself: absence of an answer proves nothing.

use std::time::Duration;

use postrider_queue::Job;
use postrider_shared::{
    clock::Clock,
    database::AllTenants,
    jobs::SendEmail,
    messages::{Messages, Verdict},
};

use crate::duty::{Duty, DutyError, Step};

/// Messages per step.
const BATCH: u64 = 100;
/// Longer than any attempt can live: its hard deadline, and as much again for a process that was stopped in between.
const ATTEMPT_LOST_AFTER: Duration = SendEmail::TIMEOUT.saturating_mul(2);
/// After this nobody will find out.
const DOUBT_ENDS_AFTER: Duration = Duration::from_hours(7 * 24);

/// Resolves doubt.
pub struct Resolver {
    messages: Messages,
    clock: Clock,
}

impl Resolver {
    pub fn new(messages: Messages, clock: Clock) -> Self {
        Self { messages, clock }
    }
}

impl Duty for Resolver {
    const NAME: &'static str = "resolver";

    fn every(&self) -> Duration {
        Duration::from_secs(20)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let now = self.clock.now();
        let unsettled = self.messages.unsettled(AllTenants, now - ATTEMPT_LOST_AFTER, BATCH).await?;
        for message in &unsettled {
            let reason = "the process that sent it ended before the mail server's answer was recorded".to_owned();
            let verdict = Verdict::Unknown { reason };
            self.messages.settle(message.tenant_id, message.id, message.attempt(), verdict).await?;
            tracing::warn!(message_id = %message.id, "nobody knows whether this message was sent; it waits for a person");
        }
        let given_up = self.messages.give_up(AllTenants, now - DOUBT_ENDS_AFTER, BATCH).await?;
        if given_up > 0 {
            tracing::warn!(messages = given_up, "in doubt for a week: recorded as unknown_final");
        }
        Ok(Step::after(unsettled.len(), BATCH).or(Step::after(given_up, BATCH)))
    }
}
