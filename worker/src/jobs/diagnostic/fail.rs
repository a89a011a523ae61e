use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::jobs::diagnostic::DiagnosticFail;
use serde_json::json;

use crate::context::Context;
use crate::registry::Handler;

impl Handler for DiagnosticFail {
    async fn run(self, ctx: &Context) -> Outcome {
        match (self.permanent, ctx.job.attempt) {
            (true, _) => Err(Stop::fail(self.error)),
            (false, attempt) if attempt <= self.times => Err(Stop::retry(self.error)),
            (false, attempt) => Ok(Done::with(json!({ "attempts": attempt }))),
        }
    }
}
