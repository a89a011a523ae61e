//! What a tenant says of itself.

use std::time::{Duration, Instant};

use postrider_shared::{
    database::{AllTenants, StoreError},
    stores::Stores,
    tenants::{TenantSettings, TenantState},
};
use rust_decimal::Decimal;

use crate::scene::{Scene, on_both};

on_both!(a_tenant_keeps_exact_rates_and_refuses_nonsense);

async fn a_tenant_keeps_exact_rates_and_refuses_nonsense(scene: Scene) {
    let tenants = &scene.stores.tenants;
    let rate: Decimal = "0.1000000000000000055511151231".parse().unwrap();
    let settings = TenantSettings { tax_rate: rate, ..TenantSettings::named("Exact") };
    let tenant = tenants.create(settings.clone()).await.unwrap();
    assert_eq!(tenants.get(tenant.id).await.unwrap(), tenant);
    assert_eq!(tenants.get(tenant.id).await.unwrap().tax_rate.0, rate, "not a digit is lost");
    for wrong in [
        TenantSettings { name: " ".to_owned(), ..settings.clone() },
        TenantSettings { currency: "EURO".to_owned(), ..settings.clone() },
        TenantSettings { tax_rate: Decimal::new(19, 0), ..settings.clone() },
        TenantSettings { brand_color: "blue".to_owned(), ..settings.clone() },
        TenantSettings { language: "english".to_owned(), ..settings.clone() },
    ] {
        assert!(matches!(tenants.create(wrong).await, Err(StoreError::Invalid { .. })));
    }
    scene.clock.advance(Duration::from_secs(5));
    let changed = tenants.change(tenant.id, |_| TenantSettings { name: "New".to_owned(), ..settings }).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.updated_at), ("New", scene.now()));
    let elsewhere = Stores::new(&scene.database, &scene.clock, None).tenants;
    assert_eq!(tenants.state(tenant.id).await.unwrap(), TenantState::Active);
    assert_eq!(elsewhere.state(tenant.id).await.unwrap(), TenantState::Active);
    let suspended = tenants.move_on(tenant.id, TenantState::Active, TenantState::Suspended).await.unwrap();
    assert!(!suspended.is_active());
    assert_eq!(tenants.state(tenant.id).await.unwrap(), TenantState::Suspended, "at once");
    let began = Instant::now();
    while elsewhere.state(tenant.id).await.unwrap() == TenantState::Active {
        assert!(began.elapsed() < Duration::from_secs(5), "another process must learn it, too");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tenants.move_on(tenant.id, TenantState::Active, TenantState::Suspended).await.unwrap();
    let approved = tenants.move_on(tenant.id, TenantState::Pending, TenantState::Active).await;
    assert!(matches!(approved, Err(StoreError::Conflict { .. })), "only who waits for it is approved");
    assert_eq!(tenants.list(AllTenants, None, None, 50).await.unwrap().items.len(), 3);
    assert_eq!(tenants.list(AllTenants, Some(TenantState::Suspended), None, 50).await.unwrap().items.len(), 1);
}
