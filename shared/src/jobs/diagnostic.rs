//! Kinds for smoke tests and drills, on every installation: their payloads, their part of the catalogue, their wire format.

use std::time::Duration;

use postrider_queue::{Job, JobKind, Lane, QueueName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Declared, KindInfo, Queue, Submit};
use crate::{roles::Permission, scopes::Share};

pub(super) fn kinds() -> Vec<KindInfo> {
    vec![
        KindInfo::of::<DiagnosticEcho>(),
        KindInfo::of::<DiagnosticSleep>(),
        KindInfo::of::<DiagnosticFail>(),
        KindInfo::of::<DiagnosticCrash>(),
    ]
}

/// Gives its data back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiagnosticEcho {
    /// Any JSON; it becomes the job's output.
    #[serde(default)]
    pub data: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub lane: Option<Lane>,
}

impl Job for DiagnosticEcho {
    const KIND: JobKind = JobKind::new("diagnostic.echo");
    const QUEUE: QueueName = Queue::Diagnostics.name();

    fn lane(&self) -> Lane {
        self.lane.clone().unwrap_or_default()
    }
}

impl Declared for DiagnosticEcho {
    const SUMMARY: &'static str = "Gives its data back as output.";
    const SUBMIT: Submit = Submit::By(Permission::JobsWrite);
    const CHOOSES_LANE: bool = true;
}

/// Waits, and reports progress meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiagnosticSleep {
    /// Milliseconds, at most ten minutes.
    #[schema(maximum = 600_000)]
    pub ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub lane: Option<Lane>,
}

impl DiagnosticSleep {
    const LONGEST_MS: u64 = 600_000;
    /// A place that is held no longer is soon another's.
    const SHORT_MS: u64 = 5_000;
}

impl Job for DiagnosticSleep {
    const KIND: JobKind = JobKind::new("diagnostic.sleep");
    const QUEUE: QueueName = Queue::Diagnostics.name();
    const TIMEOUT: Duration = Duration::from_mins(11);

    fn lane(&self) -> Lane {
        self.lane.clone().unwrap_or_default()
    }
}

impl Declared for DiagnosticSleep {
    const SUMMARY: &'static str = "Waits for the given time.";
    const SUBMIT: Submit = Submit::By(Permission::JobsWrite);
    const CHOOSES_LANE: bool = true;

    fn check(&self) -> Result<(), String> {
        if self.ms > Self::LONGEST_MS {
            return Err(format!("ms is {}, at most {} is allowed", self.ms, Self::LONGEST_MS));
        }
        Ok(())
    }

    fn share(&self) -> Option<Share> {
        (self.ms > Self::SHORT_MS).then_some(Share::Diagnosing)
    }
}

/// Fails, for drills of retries and dead letters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiagnosticFail {
    /// How many attempts fail before one succeeds.
    #[schema(maximum = 1_000_000)]
    pub times: u32,
    /// What the failure says.
    #[serde(default = "default_error")]
    #[schema(max_length = 2_000)]
    pub error: String,
    /// Whether the failure is one that no retry mends: the job dies at once.
    #[serde(default)]
    pub permanent: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub lane: Option<Lane>,
}

impl DiagnosticFail {
    const MOST_TIMES: u32 = 1_000_000;
}

fn default_error() -> String {
    "asked to fail".to_owned()
}

impl Job for DiagnosticFail {
    const KIND: JobKind = JobKind::new("diagnostic.fail");
    const QUEUE: QueueName = Queue::Diagnostics.name();

    fn lane(&self) -> Lane {
        self.lane.clone().unwrap_or_default()
    }
}

impl Declared for DiagnosticFail {
    const SUMMARY: &'static str = "Fails the given number of times, or for good.";
    const SUBMIT: Submit = Submit::By(Permission::JobsWrite);
    const CHOOSES_LANE: bool = true;

    fn check(&self) -> Result<(), String> {
        if self.times > Self::MOST_TIMES {
            return Err(format!("times is {}, at most {} is allowed", self.times, Self::MOST_TIMES));
        }
        if self.error.len() > 2_000 {
            return Err("error is longer than 2,000 bytes".to_owned());
        }
        Ok(())
    }
}

/// Kills the worker process that runs it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiagnosticCrash {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub lane: Option<Lane>,
}

impl Job for DiagnosticCrash {
    const KIND: JobKind = JobKind::new("diagnostic.crash");
    const QUEUE: QueueName = Queue::Diagnostics.name();

    fn lane(&self) -> Lane {
        self.lane.clone().unwrap_or_default()
    }
}

impl Declared for DiagnosticCrash {
    const SUMMARY: &'static str = "Kills the worker process that runs it. For drills.";
    const SUBMIT: Submit = Submit::By(Permission::DrillsRun);
    const CHOOSES_LANE: bool = true;
}

#[cfg(test)]
mod tests {
    use postrider_queue::{Lane, LaneName, ScopeKey};
    use serde_json::json;

    use super::{DiagnosticCrash, DiagnosticEcho, DiagnosticFail, DiagnosticSleep};
    use crate::jobs::tests::payload;

    #[test]
    fn payloads_on_the_wire() {
        let scope = ScopeKey::parse("mailbox:sales@example.com").unwrap();
        let lane = Lane::with_scopes(LaneName::parse("account:1:transactional").unwrap(), vec![scope]);
        let wire = [
            payload(&DiagnosticEcho { data: json!({"any": ["json", 1, null]}), lane: None }),
            payload(&DiagnosticSleep { ms: 50, lane: Some(lane) }),
            payload(&DiagnosticFail { times: 2, error: "no".to_owned(), permanent: false, lane: None }),
            payload(&DiagnosticCrash { lane: None }),
        ];
        insta::assert_snapshot!(wire.join("\n"), @r#"
        diagnostic.echo in diagnostics: {"data":{"any":["json",1,null]}}
        diagnostic.sleep in diagnostics: {"ms":50,"lane":{"name":"account:1:transactional","scopes":["mailbox:sales@example.com"]}}
        diagnostic.fail in diagnostics: {"times":2,"error":"no","permanent":false}
        diagnostic.crash in diagnostics: {}
        "#);
    }
}
