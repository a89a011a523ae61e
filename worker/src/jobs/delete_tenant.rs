//! Removes a tenant: what waits in the queue, its rows, its files, itself. Each step may be repeated, so a run that is cut off is
//! begun anew and finds less.

use chrono::TimeDelta;
use postrider_queue::{Done, ForgetPlace, Outcome, Stop};
use postrider_shared::ids::TenantId;
use postrider_shared::jobs::DeleteTenant;
use postrider_shared::tenants::BeginDeletion;
use serde_json::json;

use crate::context::Context;
use crate::registry::Handler;

/// How soon to look whether what ran has ended.
const STILL_RUNS: TimeDelta = TimeDelta::seconds(2);
/// Files removed in one step.
const FILES: usize = 100;

impl Handler for DeleteTenant {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = self.tenant_id;
        match ctx.tenants.begin_deletion(tenant, self.due).await? {
            BeginDeletion::Go => {}
            BeginDeletion::NotBefore(due) => return Err(Stop::snooze(due, "its time has not come")),
            BeginDeletion::No => return Ok(Done::with(json!({ "deleted": false }))),
        }
        let (mut from_queue, mut rows, mut files) = (0, 0, 0);
        // A job that was on its way to the queue, or a file to the store, comes after the first look.
        loop {
            let (gone, running) = queue(ctx, tenant).await?;
            if running > 0 {
                let reason = format!("{running} of its jobs still run");
                return Err(Stop::snooze(ctx.clock.now() + STILL_RUNS, reason));
            }
            let (some_rows, some_files) = (erase(ctx, tenant).await?, unlink(ctx, tenant).await?);
            from_queue += gone;
            rows += some_rows;
            files += some_files;
            ctx.progress(json!({ "from_queue": from_queue, "rows": rows, "files": files })).await;
            if gone == 0 && some_rows == 0 && some_files == 0 {
                break;
            }
        }
        ctx.tenants.finish_deletion(tenant).await?;
        ctx.queue.resume_tenant(&tenant.into()).await?;
        Ok(Done::with(json!({ "deleted": true, "from_queue": from_queue, "rows": rows, "files": files })))
    }
}

/// What it has in the queue; how much went, and how many jobs run.
async fn queue(ctx: &Context, tenant: TenantId) -> Result<(u64, u64), Stop> {
    ctx.queue.pause_tenant(&tenant.into()).await?;
    let (mut gone, mut running, mut place) = (0, 0, Some(ForgetPlace::default()));
    while let Some(from) = place {
        let step = ctx.queue.forget_tenant(&tenant.into(), &from).await?;
        gone += step.removed;
        running += step.running;
        place = step.next;
        ctx.go_on()?;
    }
    Ok((gone, running))
}

async fn erase(ctx: &Context, tenant: TenantId) -> Result<u64, Stop> {
    let mut gone = 0;
    loop {
        let step = ctx.tenants.erase_some(tenant).await?;
        gone += step;
        if step == 0 {
            return Ok(gone);
        }
        ctx.go_on()?;
    }
}

async fn unlink(ctx: &Context, tenant: TenantId) -> Result<u64, Stop> {
    let mut gone = 0;
    loop {
        let step = ctx.objects.delete_some(&tenant.to_string(), FILES).await?;
        gone += step as u64;
        if step == 0 {
            return Ok(gone);
        }
        ctx.go_on()?;
    }
}
