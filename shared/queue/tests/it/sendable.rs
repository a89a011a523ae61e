//! Whoever uses the crate can do so in a task of their own: all its futures may go from thread to thread, also in the midst of
//! other futures that hold references. That this compiles is the test.

use std::{sync::Arc, time::Duration};

use apalis::prelude::WorkerBuilder;
use postrider_queue::{
    Claimed, DepthLimits, ForgetPlace, JobId, Lane, Lease, ListFilter, NewJob, Outcome, QueueBackend, QueueClient,
    QueueConfig, ScopeKey, ScopeLimits, SessionHandle, Tenant, Walk,
};

use crate::server::{WORK, config, done, policy};

fn may_be_sent<T: Send>(_: T) {}

async fn handle(_: Claimed) -> Outcome {
    done()
}

async fn a_whole_program(client: &QueueClient, jobs: &[NewJob]) {
    let backend = QueueBackend::new(client, config(4), Arc::new(policy));
    let session = backend.handle();
    let session: &SessionHandle = &session;
    client.enqueue_many(jobs.to_vec()).await.unwrap();
    WorkerBuilder::new("test").backend(backend).build(handle).run().await.unwrap();
    session.close(Duration::ZERO).await.unwrap();
}

async fn client_calls(client: &QueueClient, tenant: &Tenant, id: JobId, jobs: &[NewJob]) {
    let batch = client.batch_id(tenant);
    client.enqueue(jobs[0].clone()).await.unwrap();
    client.enqueue_each(jobs.to_vec()).await.unwrap();
    client.open_batch(tenant, batch, None).await.unwrap();
    client.seal_batch(tenant, batch).await.unwrap();
    client.batch(batch).await.unwrap();
    client.get(id).await.unwrap();
    client.list(tenant, &ListFilter::default(), None, 1).await.unwrap();
    client.waiting(tenant, &ListFilter::default(), &Walk::default()).await.unwrap();
    client.wait(id, Duration::ZERO).await.unwrap();
    client.children(id).await.unwrap();
    client.log(id).await.unwrap();
    client.dead(0, 1).await.unwrap();
    client.dead_archived(&[]).await.unwrap();
    client.cancel(id).await.unwrap();
    client.promote(id).await.unwrap();
}

async fn control_calls(client: &QueueClient, tenant: &Tenant, scope: &ScopeKey) {
    client.pause(&WORK).await.unwrap();
    client.resume(&WORK).await.unwrap();
    client.queue(&WORK).await.unwrap();
    client.queues().await.unwrap();
    client.limit_depth(&DepthLimits::default()).await.unwrap();
    client.pause_tenant(tenant).await.unwrap();
    client.forget_tenant(tenant, &ForgetPlace::default()).await.unwrap();
    client.paused_tenants(0).await.unwrap();
    client.cancel_lane(tenant, &WORK, &Lane::default()).await.unwrap();
    client.define_scope(tenant, scope, &ScopeLimits::default()).await.unwrap();
    client.pause_scope(tenant, scope).await.unwrap();
    client.scope(tenant, scope).await.unwrap();
    client.tick().await.unwrap();
    client.upkeep().step().await.unwrap();
    client.move_shard(0, 1, Duration::ZERO).await.unwrap();
}

async fn lease_calls(lease: &Lease, line: &str) {
    lease.log([line]).await.unwrap();
    lease.progress(serde_json::Value::Null).await.unwrap();
    lease.lost_or_cancelled().await;
}

#[test]
fn every_future_may_be_sent() {
    let program = async || {
        let client = QueueClient::connect_when_loaded(QueueConfig::new("redis://127.0.0.1:1")).await.unwrap();
        a_whole_program(&client, &[]).await;
    };
    may_be_sent(program());
    let all = async |client: QueueClient, tenant: Tenant, id: JobId, scope: ScopeKey, lease: Lease| {
        client_calls(&client, &tenant, id, &[]).await;
        control_calls(&client, &tenant, &scope).await;
        lease_calls(&lease, "").await;
    };
    // Never called: only its type matters.
    let _ = move |client, tenant, id, scope, lease| may_be_sent(all(client, tenant, id, scope, lease));
}
