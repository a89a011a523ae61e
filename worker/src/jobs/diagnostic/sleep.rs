use std::time::Duration;

use postrider_queue::{Done, Outcome};
use postrider_shared::jobs::diagnostic::DiagnosticSleep;
use serde_json::json;
use tokio::time::Instant;

use crate::context::Context;
use crate::registry::Handler;
use crate::run_ledger::Step;

/// How often a long sleep says how far it is.
const REPORT: Duration = Duration::from_millis(500);

impl Handler for DiagnosticSleep {
    async fn run(self, ctx: &Context) -> Outcome {
        ctx.run_ledger.note(Step::Begin, &ctx.job);
        ctx.log(format!("attempt {}: sleeping for {} ms", ctx.job.attempt, self.ms)).await;
        let until = Instant::now() + Duration::from_millis(self.ms);
        while Instant::now() + REPORT < until {
            tokio::select! {
                stop = ctx.interrupted() => return Err(stop),
                () = tokio::time::sleep(REPORT) => {}
            }
            let left = until.saturating_duration_since(Instant::now()).as_millis();
            let slept = u128::from(self.ms).saturating_sub(left);
            ctx.progress(json!({ "slept_ms": slept, "of_ms": self.ms })).await;
        }
        tokio::select! {
            stop = ctx.interrupted() => Err(stop),
            () = tokio::time::sleep_until(until) => {
                ctx.run_ledger.note(Step::End, &ctx.job);
                Ok(Done::with(json!({ "slept_ms": self.ms })))
            }
        }
    }
}
