use postrider_queue::Outcome;
use postrider_shared::jobs::diagnostic::DiagnosticCrash;

use crate::context::Context;
use crate::registry::Handler;

impl Handler for DiagnosticCrash {
    async fn run(self, ctx: &Context) -> Outcome {
        tracing::error!(job.id = %ctx.job.id, "asked to crash: the process ends now");
        std::process::abort();
    }
}
