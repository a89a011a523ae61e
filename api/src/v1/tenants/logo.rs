//! The logo on a tenant's quotes: a file of its own, which the tenant's row names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postrider_shared::ids::TenantId;
use postrider_shared::objects::logo_key;
use postrider_shared::tenants::check_logo;
use uuid::Uuid;

use crate::app::App;
use crate::problem::{Answer, Problem};

/// Keeps the logo, if it is one, under a name that no other request gives; which one.
pub(super) async fn keep(app: &App, tenant: TenantId, text: &str) -> Answer<String> {
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
pub(super) async fn remove(app: &App, key: &str) {
    if let Err(error) = app.objects().delete(key).await {
        tracing::warn!(%error, key, "a logo that is used no more was not removed");
    }
}
