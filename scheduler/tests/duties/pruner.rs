use chrono::TimeDelta;
use postrider_scheduler::pruner::Pruner;
use postrider_shared::audit::{AuditActor, AuditFilter, AuditKind, AuditOutcome, AuditedRequest, Happened};

use crate::office::{Office, rounds};

on_both_databases![audit_events_go_when_the_settings_say_so];

async fn audit_events_go_when_the_settings_say_so(office: Office) {
    let now = office.clock.now();
    let happened = |days: i64| Happened {
        request: AuditedRequest {
            actor: AuditActor::System,
            tenant: Some(office.tenant),
            request_id: format!("{days} days ago"),
            ip: None,
            operation: "test".to_owned(),
            resource: "tests".to_owned(),
            subject_id: None,
        },
        at: now - TimeDelta::days(days),
        kind: AuditKind::Change,
        outcome: AuditOutcome::Done,
        user: None,
        times: 1,
        after: None,
    };
    let audit = &office.stores.audit;
    // More than go in one step, and some around the end of their time.
    let old: Vec<Happened> = std::iter::repeat_n(400, 450).chain([61, 59, 1]).map(happened).collect();
    audit.happened(&old).await.unwrap();
    let mut pruner = Pruner::new(office.stores.clone(), office.clock.clone(), TimeDelta::days(60));
    rounds(&mut pruner).await;
    let filter = AuditFilter { operation: Some("test".to_owned()), ..AuditFilter::default() };
    let left = async || {
        let page = audit.list(&filter, None, 200).await.unwrap();
        page.items.into_iter().map(|event| event.request_id).collect::<Vec<_>>()
    };
    assert_eq!(left().await, ["1 days ago", "59 days ago"]);
    // Their time goes on.
    office.clock.advance(std::time::Duration::from_hours(2 * 24));
    rounds(&mut pruner).await;
    assert_eq!(left().await, ["1 days ago"]);
}
