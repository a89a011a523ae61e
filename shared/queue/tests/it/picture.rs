//! The whole queue as text, for snapshots: what an operator would see, with names instead of ids and no clock times.

use std::fmt::Write;

use postrider_queue::{JobId, QueueClient};

use crate::server::WORK;

/// Jobs under the names that a test gives them.
pub(crate) struct Picture {
    client: QueueClient,
    jobs: Vec<(&'static str, JobId)>,
}

impl Picture {
    pub(crate) fn of(client: &QueueClient) -> Self {
        Self { client: client.clone(), jobs: Vec::new() }
    }

    pub(crate) fn name(&mut self, name: &'static str, id: JobId) -> JobId {
        self.jobs.push((name, id));
        id
    }

    pub(crate) async fn take(&self) -> String {
        let stats = self.client.queue(&WORK).await.unwrap();
        let mut text = format!(
            "available {} scheduled {} retryable {} running {} completed {} dead {} lanes {} parked {}\n",
            stats.available,
            stats.scheduled,
            stats.retryable,
            stats.running,
            stats.completed,
            stats.dead,
            stats.lanes,
            stats.parked_lanes
        );
        for (name, id) in &self.jobs {
            let Some(record) = self.client.get(*id).await.unwrap() else {
                writeln!(text, "{name}: gone").unwrap();
                continue;
            };
            write!(
                text,
                "{name}: {} attempt {}/{} epoch {}",
                record.state, record.attempt, record.max_attempts, record.epoch
            )
            .unwrap();
            if record.snoozes > 0 {
                write!(text, " snoozes {}", record.snoozes).unwrap();
            }
            if record.crashes > 0 {
                write!(text, " crashes {}", record.crashes).unwrap();
            }
            for (what, there) in [
                ("payload", !record.payload.is_empty()),
                ("cancel requested", record.cancel_requested),
                ("started", record.started_at.is_some()),
                ("finished", record.finished_at.is_some()),
            ] {
                if there {
                    write!(text, ", {what}").unwrap();
                }
            }
            if let Some(output) = &record.output {
                write!(text, ", output {output}").unwrap();
            }
            if let Some(progress) = &record.progress {
                write!(text, ", progress {progress}").unwrap();
            }
            if let Some(error) = &record.error {
                write!(text, ", error {error:?}").unwrap();
            }
            text.push('\n');
        }
        text
    }
}
