//! Tenants, keys and accounts.

use std::time::Duration;

use postrider_shared::{
    accounts::{AccountState, NewAccount},
    database::{AllTenants, StoreError},
    roles::Role,
    seal::KeyRing,
    stores::Stores,
    tenants::{TenantSettings, TenantState},
};
use rust_decimal::Decimal;
use secrecy::ExposeSecret;

use crate::scene::{KEYS, Scene, account_settings, on_both};

on_both!(
    a_tenant_keeps_exact_rates_and_refuses_nonsense,
    two_replicas_make_one_platform_key,
    a_tenants_key_opens_until_it_is_revoked,
    an_account_keeps_its_password_sealed,
    accounts_are_paged_and_seen_by_their_tenant_only,
);

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
    let changed = tenants.change(tenant.id, TenantSettings { name: "New".to_owned(), ..settings }).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.updated_at), ("New", scene.now()));
    let suspended = tenants.set_state(tenant.id, TenantState::Suspended).await.unwrap();
    assert!(!suspended.is_active());
    assert_eq!(tenants.list(AllTenants, None, 50).await.unwrap().items.len(), 3);
}

async fn two_replicas_make_one_platform_key(scene: Scene) {
    let keys = &scene.stores.api_keys;
    let made = futures::future::join_all((0..8).map(|_| keys.ensure_platform_key())).await;
    let made: Vec<_> = made.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(made.len(), 1);
    let key = keys.verify(made[0].text.expose_secret()).await.unwrap().unwrap();
    assert_eq!((key.role, key.tenant_id), (Role::PlatformAdmin, None));
}

async fn a_tenants_key_opens_until_it_is_revoked(scene: Scene) {
    let keys = &scene.stores.api_keys;
    let issued = keys.issue(scene.tenant, "Shop", Role::Agent).await.unwrap();
    let text = issued.text.expose_secret();
    let seen = keys.verify(text).await.unwrap().unwrap();
    assert_eq!((seen.id, seen.role, seen.tenant_id), (issued.key.id, Role::Agent, Some(scene.tenant)));
    let forged = format!("{}{}", &text[..text.len() - 1], if text.ends_with('0') { '1' } else { '0' });
    assert!(keys.verify(&forged).await.unwrap().is_none());

    let first_use = scene.now();
    scene.clock.advance(Duration::from_secs(30));
    assert_eq!(keys.verify(text).await.unwrap().unwrap().last_used_at, Some(first_use));
    scene.clock.advance(Duration::from_secs(40));
    keys.verify(text).await.unwrap();
    let listed = keys.list(scene.tenant, None, 10).await.unwrap().items;
    assert_eq!(listed[0].last_used_at, Some(scene.now()), "written again after a minute");

    let error = keys.revoke(scene.stranger, issued.key.id).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }));
    assert!(keys.verify(text).await.unwrap().is_some());
    keys.revoke(scene.tenant, issued.key.id).await.unwrap();
    assert!(keys.verify(text).await.unwrap().is_none());
    assert!(keys.issue(scene.tenant, "Shop", Role::PlatformAdmin).await.is_err());
}

async fn an_account_keeps_its_password_sealed(scene: Scene) {
    let account = scene.account().await;
    assert!(!format!("{account:?}").contains("hunter2"));
    assert_eq!(scene.stores.accounts.password(&account).unwrap().expose_secret(), "hunter2");
    assert_eq!(account.scope().to_string(), "mailbox:sales@example.com");

    // Another row's sealed password does not open in this one.
    let mut moved = scene.account().await;
    moved.id = account.id;
    assert!(matches!(scene.stores.accounts.password(&moved), Err(StoreError::Seal(_))));

    let rotated = KeyRing::parse(&format!("k2:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,{KEYS}")).unwrap();
    let accounts = Stores::new(&scene.database, &scene.clock, Some(rotated)).accounts;
    assert!(accounts.reseal(scene.tenant, account.id).await.unwrap());
    assert!(!accounts.reseal(scene.tenant, account.id).await.unwrap());
    let account = accounts.get(scene.tenant, account.id).await.unwrap();
    assert_eq!(accounts.password(&account).unwrap().expose_secret(), "hunter2");
    assert!(scene.stores.accounts.password(&account).is_err(), "sealed with a key the old ring does not have");
}

async fn accounts_are_paged_and_seen_by_their_tenant_only(scene: Scene) {
    let accounts = &scene.stores.accounts;
    let mut made = Vec::new();
    for number in 0..5 {
        // Two of them at the same time: the cursor must tell them apart.
        if number % 2 == 0 {
            scene.clock.advance(Duration::from_secs(1));
        }
        let settings = account_settings(&format!("box{number}@example.com"));
        let new = NewAccount { settings, password: "x".to_owned().into() };
        made.push(accounts.create(scene.tenant, new).await.unwrap());
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = accounts.list(scene.tenant, cursor, 2).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items);
        cursor = page.next.map(|next| next.to_string().parse().unwrap());
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(made.iter().all(|account| seen.contains(account)));
    assert!(accounts.list(scene.stranger, None, 10).await.unwrap().items.is_empty());
    assert!(accounts.get(scene.stranger, made[0].id).await.is_err());
    assert!(accounts.pause(scene.stranger, made[0].id, "mine now").await.is_err());

    let paused = accounts.pause(scene.tenant, made[0].id, "login refused").await.unwrap();
    assert_eq!((paused.state, paused.pause_reason.as_deref()), (AccountState::Paused, Some("login refused")));
    assert!(accounts.resume(scene.tenant, made[0].id).await.unwrap().is_active());
    let first = accounts.every(AllTenants, None, 3).await.unwrap();
    let rest = accounts.every(AllTenants, first.last().map(|account| account.id), 3).await.unwrap();
    assert_eq!(first.len() + rest.len(), 5);
}
