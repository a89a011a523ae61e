use postrider_queue::{Done, Outcome};
use postrider_shared::jobs::diagnostic::DiagnosticEcho;

use crate::context::Context;
use crate::registry::Handler;
use crate::run_ledger::Step;

impl Handler for DiagnosticEcho {
    async fn run(self, ctx: &Context) -> Outcome {
        ctx.run_ledger.note(Step::End, &ctx.job);
        Ok(Done::with(self.data))
    }
}
