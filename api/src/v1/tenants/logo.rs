//! The logo on a tenant's quotes: a file of its own, which the tenant's row names.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postrider_shared::audit::carried;
use postrider_shared::ids::TenantId;
use postrider_shared::objects::logo_key;
use postrider_shared::tenants::{Tenant, TenantSettings, check_logo};
use tokio::time::timeout;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::app::App;
use crate::problem::{Answer, Problem};

/// How long a database that has just failed is asked which file it names.
const ASKED_FOR: Duration = Duration::from_secs(5);

/// Changes a tenant and its logo, of which `None` means none.
pub(super) async fn exchange(
    app: &App,
    tenant: TenantId,
    logo: Option<String>,
    merge: impl FnOnce(TenantSettings) -> TenantSettings + Send + 'static,
) -> Answer<Tenant> {
    // A task of its own, from the new file to the removal of the old one: a client that hangs up leaves no file that no row names.
    let work = carried(in_steps(app.clone(), tenant, logo, merge));
    app.tasks().spawn(work.in_current_span()).await.map_err(Problem::internal)?
}

async fn in_steps(
    app: App,
    tenant: TenantId,
    logo: Option<String>,
    merge: impl FnOnce(TenantSettings) -> TenantSettings + Send,
) -> Answer<Tenant> {
    let kept = match logo {
        Some(text) => Some(keep(&app, tenant, &text).await?),
        None => None,
    };
    let (logo_key, mut before) = (kept.clone(), None);
    let changed = app.stores().tenants.change(tenant, |old| {
        before.clone_from(&old.logo_key);
        TenantSettings { logo_key, ..merge(old) }
    });
    let changed = changed.await;
    let unused = match &changed {
        Ok(_) => before,
        // An answer that was lost may hide a commit. A database that cannot be asked leaves both files.
        Err(error) if error.is_transient() => {
            match timeout(ASKED_FOR, app.stores().tenants.settled_logo(tenant)).await {
                Ok(Ok(named)) if named == kept => before,
                Ok(Ok(_)) => kept,
                Ok(Err(_)) | Err(_) => None,
            }
        }
        Err(_) => kept,
    };
    if let Some(key) = unused {
        remove(&app, &key).await;
    }
    Ok(changed?)
}

/// Keeps the logo, if it is one, under a name that no other request gives; which one.
async fn keep(app: &App, tenant: TenantId, text: &str) -> Answer<String> {
    let wrong = |reason: String| Problem::field("/logo", reason);
    let file = STANDARD.decode(text).map_err(|error| wrong(format!("The logo must be base64 of a PNG: {error}.")))?;
    let checked = tokio::task::spawn_blocking(move || check_logo(&file).map(|()| file)).await;
    let file = checked
        .map_err(Problem::internal)?
        .map_err(|error| wrong(format!("This picture cannot be a logo: {error}.")))?;
    let key = logo_key(tenant, &format!("{}.png", Uuid::now_v7()));
    app.objects().put(&key, file).await?;
    Ok(key)
}

/// Removes a logo that no row names any more. A file that stays is only a file too many, until the tenant is deleted.
async fn remove(app: &App, key: &str) {
    if let Err(error) = app.objects().delete(key).await {
        tracing::warn!(%error, key, "a logo that is used no more was not removed");
    }
}
