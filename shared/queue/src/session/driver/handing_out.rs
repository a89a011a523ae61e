//! From the claims of a turn to the jobs that the backend yields.

use std::time::Instant;

use chrono::{DateTime, Utc};

use super::{
    super::{Settling, Token, unknown_kind},
    Driver,
};
use crate::{claim::Claimed, id::JobId, record::JobRecord};

impl Driver {
    pub(super) fn hand_out_unread(&mut self) {
        for (claims, token, sent) in std::mem::take(&mut self.unread) {
            let (claimed, now) = (claims.claimed(), claims.now);
            match claims.read() {
                Ok(claims) => {
                    self.runs(self.running.saturating_sub(claims.unreadable.len()));
                    for job in claims.unreadable {
                        self.bury(job, token);
                    }
                    self.hand_out(claims.records, token, now, sent);
                }
                Err(error) => {
                    // They stay this session's until it ends, and are rescued then.
                    self.runs(self.running.saturating_sub(claimed));
                    tracing::error!(claimed, %error, "the claims of a turn cannot be read");
                }
            }
        }
    }

    pub(super) fn bury(&mut self, (id, epoch, error): (JobId, u32, String), token: Token) {
        tracing::error!(job = %id, error, "unreadable job will be buried");
        self.queue(Settling::bury(id, epoch, token, format!("unreadable: {error}")));
    }

    /// Hands jobs to the backend that count as running already. They were asked for at the time `sent`.
    pub(super) fn hand_out(&mut self, records: Vec<JobRecord>, token: Token, now: DateTime<Utc>, sent: Instant) {
        let mut batch = Vec::with_capacity(records.len());
        for record in records {
            if self.session.policies.of(record.kind.as_str()).is_none() {
                if record.crashes >= Claimed::SUSPECT_FROM {
                    self.session.suspect_ended();
                }
                self.runs(self.running.saturating_sub(1));
                self.queue(unknown_kind::settle(&record, token, now));
                continue;
            }
            let lease = self.session.hold(&record, token);
            if self.early_cancels.heard_since(record.id, sent) {
                self.session.cancel(record.id);
            }
            let claimed_at = record.started_at.unwrap_or(now);
            batch.push(Claimed {
                id: record.id,
                tenant: record.tenant,
                kind: record.kind,
                queue: record.queue,
                lane: record.lane,
                payload: record.payload,
                attempt: record.attempt,
                epoch: record.epoch,
                max_attempts: record.max_attempts,
                snoozes: record.snoozes,
                crashes: record.crashes,
                inherits_units: record.reserved_at.is_some_and(|at| at < claimed_at),
                links: record.links,
                enqueued_at: record.enqueued_at,
                claimed_at,
                lease,
            });
        }
        metrics::counter!("postrider_queue_claims_total").increment(batch.len() as u64);
        let _ = self.claims.send(batch); // a backend that is gone drops its leases, which releases them
    }
}
