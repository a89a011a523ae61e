//! Mailboxes: their passwords, and who sees them.

use std::time::Duration;

use postrider_shared::{
    accounts::{AccountState, NewAccount},
    database::{AllTenants, StoreError},
};
use secrecy::ExposeSecret;

use crate::scene::{Scene, account_settings, on_both};

on_both!(an_account_keeps_its_password_sealed, accounts_are_paged_and_seen_by_their_tenant_only);

async fn an_account_keeps_its_password_sealed(scene: Scene) {
    let account = scene.account().await;
    assert!(!format!("{account:?}").contains("hunter2"));
    assert_eq!(scene.stores.accounts.password(&account).unwrap().expose_secret(), "hunter2");
    assert_eq!(account.scope().to_string(), "mailbox:sales@example.com");

    // Another row's sealed password does not open in this one.
    let mut moved = scene.account().await;
    moved.id = account.id;
    assert!(matches!(scene.stores.accounts.password(&moved), Err(StoreError::Seal(_))));
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
