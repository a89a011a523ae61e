//! The limits of an account, told to the queue.

use std::time::Duration;

use postrider_shared::accounts::Account;

use crate::app::App;

/// Longest a request waits for the queue here.
const PATIENCE: Duration = Duration::from_secs(2);

/// Defines the account's scope. Its row is committed already, and the scheduler defines every scope again and again, so a
/// queue that is away delays this and fails nothing: until it is defined, the account's lane stays parked.
pub(super) async fn define(app: &App, account: &Account) {
    let defined = tokio::time::timeout(PATIENCE, app.scopes().define(account)).await;
    let error = match defined {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {} s", PATIENCE.as_secs()),
    };
    tracing::warn!(account.id = %account.id, error, "limits not told to the queue yet");
}
