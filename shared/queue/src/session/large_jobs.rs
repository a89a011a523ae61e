//! Claims of jobs that are as large as they may be.

use std::collections::BTreeMap;

use super::in_slices::{job, open, take};
use crate::{
    client::QueueClient,
    job::{MAX_PAYLOAD_BYTES, NewJob},
    lane::Lane,
    leaping::Server,
    name::{LaneName, ScopeKey, Tenant},
    scope::ScopeLimits,
};

fn large(tenant: &str) -> NewJob {
    let payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES - 2)).into_bytes();
    NewJob { tenant: Tenant::parse(tenant).unwrap(), payload, ..job() }
}

async fn enqueue(client: &QueueClient, many: usize, job: &NewJob) {
    for _ in 0..many / 8 {
        client.enqueue_many(vec![job.clone(); 8]).await.unwrap();
    }
}

/// The tenants of what a turn claims.
async fn claimed(client: &QueueClient, sequence: u64) -> Vec<String> {
    let claimed = take(client, sequence, 64, Vec::new()).await.1.read().unwrap();
    claimed.records.into_iter().map(|record| record.tenant.to_string()).collect()
}

#[tokio::test]
async fn a_call_takes_few_of_them_and_each_tenant_has_its_turn() {
    let server = Server::start();
    let client = server.client().await;
    open(&client).await;
    enqueue(&client, 64, &large("acme")).await;
    // Nobody knew yet.
    assert_eq!(claimed(&client, 1).await.len(), 64);

    enqueue(&client, 64, &large("acme")).await;
    let scope = ScopeKey::parse("mailbox:a").unwrap();
    let lane = Lane::with_scopes(LaneName::default(), vec![scope.clone()]);
    let limits = ScopeLimits { in_flight: Some(30), ..ScopeLimits::default() };
    client.define_scope(&Tenant::parse("limited").unwrap(), &scope, &limits).await.unwrap();
    enqueue(&client, 32, &NewJob { lane, ..large("limited") }).await;
    enqueue(&client, 64, &NewJob { tenant: Tenant::parse("small").unwrap(), ..job() }).await;
    let mut of = BTreeMap::<_, usize>::new();
    for sequence in 2..60 {
        let tenants = claimed(&client, sequence).await;
        assert!(tenants.iter().filter(|tenant| *tenant != "small").count() <= 2, "turn {sequence}: {tenants:?}");
        for tenant in tenants {
            *of.entry(tenant).or_default() += 1;
        }
        if sequence == 8 {
            assert!(of.values().all(|taken| *taken >= 3) && of.len() == 3, "{of:?}");
        }
    }
    assert_eq!(of, BTreeMap::from([("acme".to_owned(), 64), ("limited".to_owned(), 30), ("small".to_owned(), 64)]));
}
