//! The limits of an account, told to the queue.

use std::time::Duration;

use postrider_queue::{CapSpec, ScopeLimits, WINDOW_DAYS, Window, calendar_days};
use postrider_shared::accounts::Account;

use crate::app::App;
use crate::problem::Answer;

/// Longest a request waits for the queue here.
const PATIENCE: Duration = Duration::from_secs(2);

/// Defines the account's scope. Its row is committed already, and the scheduler's feeder defines every scope again and
/// again, so a queue that is away delays this and fails nothing: until it is defined, the account's lane stays parked.
pub(super) async fn define(app: &App, account: &Account) {
    let defined = tokio::time::timeout(PATIENCE, try_define(app, account)).await;
    let error = match defined {
        Ok(Ok(())) => return,
        Ok(Err(problem)) => problem.to_string(),
        Err(_) => format!("no answer in {} s", PATIENCE.as_secs()),
    };
    tracing::warn!(account_id = %account.id, error, "limits not told to the queue yet");
}

async fn try_define(app: &App, account: &Account) -> Answer<()> {
    let scope = account.scope();
    let mut windows = calendar_days(account.time_zone.0, app.clock().now(), WINDOW_DAYS);
    if let Some(today) = windows.first_mut() {
        // A Redis that lost its data must not give the day's cap a second time.
        let used_before = app.stores().messages.used(account.tenant_id, &scope, today.starts_at).await?;
        *today = Window { used_before, ..*today };
    }
    let cap = CapSpec { limit: u64::try_from(account.daily_cap).unwrap_or_default(), windows };
    let limits = ScopeLimits { caps: vec![cap], paused: !account.is_active() };
    app.queue().define_scope(&account.tenant_id.into(), &scope, &limits).await?;
    Ok(())
}
