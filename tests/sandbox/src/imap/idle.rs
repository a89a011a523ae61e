//! IDLE: the client is told of changes until it says DONE.

use std::io;

use super::session::{Answer, Session};
use crate::faults::Stage;

const MAX_LINE_BYTES: usize = 1024;

impl Session {
    pub(super) async fn idle(&mut self) -> io::Result<Answer> {
        self.fault(Stage::Idle, &[]).await?;
        let mut changes = self.office.mailboxes.watch();
        self.tell_changes(true).await?;
        self.wire.say(b"+ idling\r\n").await?;
        let _idling = self.login.as_deref().map(|address| self.office.mailboxes.idles(address));
        loop {
            let line = tokio::select! {
                line = self.wire.line(MAX_LINE_BYTES) => line?,
                Ok(()) = changes.changed() => {
                    self.tell_changes(true).await?;
                    self.wire.flush().await?;
                    continue;
                }
            };
            let done = line.trim_ascii().eq_ignore_ascii_case(b"DONE");
            return Ok(if done { "OK idled".into() } else { "BAD DONE expected".into() });
        }
    }
}
