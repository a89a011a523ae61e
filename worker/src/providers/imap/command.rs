//! One tagged command and its responses, bounded in time and bytes.

use std::time::Duration;

use async_imap::imap_proto::{Response, Status};

use super::error::{is_bug, is_busy};
use super::{ImapError, Session, Stage, within};

impl Session {
    /// Runs a command, hands each untagged response to `each`, and succeeds only if the tagged line says `OK`.
    pub(super) async fn command(
        &mut self,
        stage: Stage,
        command: &str,
        limit: Duration,
        bytes: u64,
        mut each: impl FnMut(&Response<'_>),
    ) -> Result<(), ImapError> {
        self.budget.allow(bytes);
        let session = &mut self.inner;
        within(stage, limit, async move {
            let tag = session.run_command(command).await.map_err(|error| ImapError::of(stage, error))?;
            loop {
                let response = session.read_response().await.map_err(|error| ImapError::io(stage, &error))?;
                let Some(response) = response else {
                    return Err(ImapError::Closed { stage });
                };
                match response.parsed() {
                    Response::Done { tag: done, status, outcome } if *done == tag => {
                        return ended(stage, status, outcome.information.as_deref());
                    }
                    Response::Data { status: Status::Bye, .. } => return Err(ImapError::Closed { stage }),
                    other => each(other),
                }
            }
        })
        .await
    }
}

fn ended(stage: Stage, status: &Status, information: Option<&str>) -> Result<(), ImapError> {
    let detail = information.unwrap_or("no reason given").chars().take(200).collect();
    match status {
        Status::Ok => Ok(()),
        // A message that the server stumbles over does so later, too.
        Status::No if matches!(stage, Stage::List | Stage::Fetch) && is_bug(information.unwrap_or_default()) => {
            Err(ImapError::Refused { stage, detail })
        }
        Status::No if is_busy(information.unwrap_or_default()) => Err(ImapError::Busy { stage, detail }),
        Status::No => Err(ImapError::Refused { stage, detail }),
        Status::Bad | Status::PreAuth => Err(ImapError::Protocol { stage, detail }),
        Status::Bye => Err(ImapError::Closed { stage }),
    }
}
