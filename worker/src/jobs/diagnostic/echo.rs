use postrider_queue::{Done, Outcome};
use postrider_shared::jobs::DiagnosticEcho;

use crate::context::Context;
use crate::registry::Handler;

impl Handler for DiagnosticEcho {
    async fn run(self, _: &Context) -> Outcome {
        Ok(Done::with(self.data))
    }
}
