//! Two people change different things of one resource at the same moment: both changes last.

use postrider_tests::{Api, DatabaseKind, Platform};
use serde_json::{Value, json};

const ROUNDS: u32 = 25;

on_both_databases!(changes_of_different_things_at_once_both_last);

/// Changes a resource twice at once, with a member of its own each time, and looks at both.
async fn at_once(api: &Api, path: &str, changes: [Value; 2]) {
    let [one, two] = &changes;
    let (first, second) = tokio::join!(api.patch(path, one), api.patch(path, two));
    first.ok();
    second.ok();
    let now = api.get(path).await.ok();
    for (name, value) in changes.iter().filter_map(Value::as_object).flatten() {
        assert_eq!(&now[name], value, "{path}: {changes:?}");
    }
}

async fn changes_of_different_things_at_once_both_last(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(86_400).await;
    let api = &office.api;
    let account = format!("/v1/accounts/{}", office.account_id);
    let tenant = format!("/v1/tenants/{}", office.tenant_id);
    let products = api.all("/v1/products").await;
    let product = format!("/v1/products/{}", products[0]["id"].as_str().unwrap());
    for round in 1..=ROUNDS {
        at_once(api, &account, [json!({ "daily_cap": round }), json!({ "poll_interval_seconds": 80_000 + round })])
            .await;
        let (label, name) = (format!("label {round}"), format!("name {round}"));
        at_once(api, &product, [json!({ "unit_label": label }), json!({ "name": name })]).await;
        at_once(api, &tenant, [json!({ "tax_label": label }), json!({ "quote_prefix": format!("{round}-") })]).await;
    }
    platform.finish().await;
}
