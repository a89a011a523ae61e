use std::time::Duration;

use postrider_queue::JobId;
use postrider_shared::{
    database::AllTenants,
    occurrences::{Planned, job_id_parts, latest},
};

use crate::scene::{Scene, on_both};

on_both!(any_number_of_schedulers_plan_an_occurrence_once);

async fn any_number_of_schedulers_plan_an_occurrence_once(scene: Scene) {
    let occurrences = &scene.stores.occurrences;
    let planned_at = latest("poll_mailbox:1", scene.now(), Duration::from_mins(10));
    let parts = job_id_parts("poll_mailbox:1", planned_at);
    let job = JobId::derived(1, &parts.each_ref().map(String::as_str));
    let plan = || occurrences.plan(scene.tenant, "poll_mailbox:1", planned_at, Duration::from_mins(1), job);
    let planned = futures::future::join_all((0..8).map(|_| plan())).await;
    let new = planned.iter().filter(|planned| matches!(planned, Ok(Planned::New(_)))).count();
    assert_eq!(new, 1, "{planned:?}");
    let first = planned[0].as_ref().unwrap().occurrence();
    assert!(planned.iter().all(|planned| planned.as_ref().unwrap().occurrence() == first));
    assert!(first.run_at >= planned_at && first.run_at <= planned_at + Duration::from_mins(1));

    assert_eq!(occurrences.waiting(AllTenants, 10).await.unwrap(), std::slice::from_ref(first));
    assert_eq!(occurrences.prune(AllTenants, planned_at, 10).await.unwrap(), 0, "it is not older than itself");
    occurrences.enqueued(scene.tenant, "poll_mailbox:1", planned_at).await.unwrap();
    assert!(occurrences.waiting(AllTenants, 10).await.unwrap().is_empty());
    assert_eq!(occurrences.prune(AllTenants, scene.now(), 10).await.unwrap(), 1);
}
