//! Keys of tenants and of the platform.

use std::time::{Duration, Instant};

use postrider_shared::{
    api_keys::{KeyChange, KeyOwner, NewKey},
    database::StoreError,
    ids::ApiKeyId,
    roles::{Permission, Role},
    stores::Stores,
};
use secrecy::ExposeSecret;

use crate::scene::{Scene, on_both};

on_both!(
    two_replicas_make_one_platform_key,
    a_tenants_key_opens_until_it_is_revoked,
    a_rotated_key_has_two_texts_for_a_while,
    the_last_platform_key_stays,
    of_two_platform_keys_revoked_at_once_one_stays,
);

async fn two_replicas_make_one_platform_key(scene: Scene) {
    let keys = &scene.stores.api_keys;
    let made = futures::future::join_all((0..8).map(|_| keys.ensure_platform_key(|_| Ok::<_, StoreError>(())))).await;
    let made: Vec<_> = made.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(made.len(), 1);
    let key = keys.verify(made[0].text.expose_secret()).await.unwrap().unwrap();
    assert_eq!((key.role, key.tenant_id), (Role::PlatformAdmin, None));
}

async fn a_tenants_key_opens_until_it_is_revoked(scene: Scene) {
    let keys = &scene.stores.api_keys;
    let (own, strange) = (KeyOwner::Tenant(scene.tenant), KeyOwner::Tenant(scene.stranger));
    let issued = keys.issue(own, ApiKeyId::random(), NewKey::named("Shop", Role::Agent)).await.unwrap();
    let text = issued.text.expose_secret();
    let seen = keys.verify(text).await.unwrap().unwrap();
    assert_eq!((seen.id, seen.role, seen.tenant_id), (issued.key.id, Role::Agent, Some(scene.tenant)));
    let forged = format!("{}{}", &text[..text.len() - 1], if text.ends_with('0') { '1' } else { '0' });
    assert!(keys.verify(&forged).await.unwrap().is_none());

    assert!(keys.is_use_to_be_noted(&seen) && !keys.is_use_to_be_noted(&seen), "one of many is told");
    let last_used = async || keys.get(own, issued.key.id).await.unwrap().last_used_at;
    let first_use = scene.now();
    keys.note_use(issued.key.id).await.unwrap();
    scene.clock.advance(Duration::from_secs(30));
    keys.note_use(issued.key.id).await.unwrap();
    assert_eq!(last_used().await, Some(first_use));
    scene.clock.advance(Duration::from_secs(40));
    keys.note_use(issued.key.id).await.unwrap();
    assert_eq!(last_used().await, Some(scene.now()), "written again after a minute");

    let error = keys.revoke(strange, issued.key.id).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }));
    assert!(keys.revoke(KeyOwner::Platform, issued.key.id).await.is_err());
    assert!(keys.verify(text).await.unwrap().is_some());
    // Another process has seen it and believes it for a second; this one knows better at once.
    let elsewhere = Stores::new(&scene.database, &scene.clock, None).api_keys;
    assert!(elsewhere.verify(text).await.unwrap().is_some());
    keys.revoke(own, issued.key.id).await.unwrap();
    assert!(keys.verify(text).await.unwrap().is_none());
    let began = Instant::now();
    while elsewhere.verify(text).await.unwrap().is_some() {
        assert!(began.elapsed() < Duration::from_secs(5), "a revoked key must not open for ever elsewhere");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let key = |role| keys.issue(own, ApiKeyId::random(), NewKey::named("Shop", role));
    assert!(key(Role::PlatformAdmin).await.is_err());
    assert!(keys.change(own, issued.key.id, KeyChange::default()).await.is_err(), "a revoked key stays as it is");

    let expires_at = Some(scene.now() + Duration::from_secs(60));
    let new = NewKey { expires_at, ..NewKey::named("Trial", Role::Viewer) };
    let issued = keys.issue(own, ApiKeyId::random(), new).await.unwrap();
    assert!(keys.verify(issued.text.expose_secret()).await.unwrap().is_some());
    scene.clock.advance(Duration::from_secs(60));
    assert!(keys.verify(issued.text.expose_secret()).await.unwrap().is_none(), "expired, also from memory");

    let narrowed = |scopes| NewKey { scopes: Some(scopes), ..NewKey::named("Narrow", Role::Agent) };
    let reads = vec![Permission::JobsRead, Permission::JobsRead];
    let issued = keys.issue(own, ApiKeyId::random(), narrowed(reads)).await.unwrap();
    assert_eq!(issued.key.permissions().iter().collect::<Vec<_>>(), [Permission::JobsRead]);
    for wrong in [vec![], vec![Permission::KeysWrite]] {
        assert!(keys.issue(own, ApiKeyId::random(), narrowed(wrong)).await.is_err());
    }
}

async fn a_rotated_key_has_two_texts_for_a_while(scene: Scene) {
    let keys = &scene.stores.api_keys;
    let own = KeyOwner::Tenant(scene.tenant);
    let first = keys.issue(own, ApiKeyId::random(), NewKey::named("Shop", Role::Agent)).await.unwrap();
    let id = first.key.id;
    let opens = async |text: &secrecy::SecretString| {
        let opened = keys.verify(text.expose_secret()).await.unwrap();
        opened.map(|key| assert_eq!(key.id, id)).is_some()
    };
    assert!(opens(&first.text).await);
    let second = keys.rotate(own, id, Duration::from_secs(60), None).await.unwrap();
    assert!(opens(&first.text).await && opens(&second.text).await);
    scene.clock.advance(Duration::from_secs(59));
    assert!(opens(&first.text).await);
    scene.clock.advance(Duration::from_secs(1));
    assert!(!opens(&first.text).await && opens(&second.text).await);
    let third = keys.rotate(own, id, Duration::from_secs(60), None).await.unwrap();
    let fourth = keys.rotate(own, id, Duration::from_secs(60), None).await.unwrap();
    assert!(!opens(&second.text).await && opens(&third.text).await && opens(&fourth.text).await);
    // A request that is repeated after its answer was lost: the text that nobody knows makes way, the one before stays.
    let request = Some(uuid::Uuid::new_v4());
    let lost = keys.rotate(own, id, Duration::from_secs(60), request).await.unwrap();
    let told = keys.rotate(own, id, Duration::from_secs(60), request).await.unwrap();
    assert!(opens(&fourth.text).await && !opens(&lost.text).await && opens(&told.text).await);
    let last = keys.rotate(own, id, Duration::ZERO, None).await.unwrap();
    assert!(!opens(&fourth.text).await && !opens(&told.text).await && opens(&last.text).await);
    assert!(keys.rotate(KeyOwner::Tenant(scene.stranger), id, Duration::ZERO, None).await.is_err());
    keys.rotate(own, id, Duration::from_secs(60), None).await.unwrap();
    keys.revoke(own, id).await.unwrap();
    assert!(!opens(&last.text).await, "revoking ends the replaced text, too");
    assert!(keys.rotate(own, id, Duration::ZERO, None).await.is_err());
}

async fn the_last_platform_key_stays(scene: Scene) {
    let keys = &scene.stores.api_keys;
    let first = keys.ensure_platform_key(|_| Ok::<_, StoreError>(())).await.unwrap().unwrap().key.id;
    let tomorrow = Some(scene.now() + Duration::from_hours(24));
    let new = |scopes, expires_at| NewKey { scopes, expires_at, ..NewKey::named("more", Role::PlatformAdmin) };
    for lesser in [new(Some(vec![Permission::JobsRead]), None), new(None, tomorrow)] {
        keys.issue(KeyOwner::Platform, ApiKeyId::random(), lesser).await.unwrap();
        assert!(matches!(keys.revoke(KeyOwner::Platform, first).await, Err(StoreError::Conflict { .. })));
    }
    let expiring = KeyChange { expires_at: Some(tomorrow), ..KeyChange::default() };
    assert!(keys.change(KeyOwner::Platform, first, expiring.clone()).await.is_err());
    keys.issue(KeyOwner::Platform, ApiKeyId::random(), new(None, None)).await.unwrap();
    keys.change(KeyOwner::Platform, first, expiring).await.unwrap();
    keys.revoke(KeyOwner::Platform, first).await.unwrap();
    assert!(keys.list(KeyOwner::Tenant(scene.tenant), None, 10).await.unwrap().items.is_empty());
    assert_eq!(keys.list(KeyOwner::Platform, None, 10).await.unwrap().items.len(), 4);
}

async fn of_two_platform_keys_revoked_at_once_one_stays(scene: Scene) {
    let keys = &scene.stores.api_keys;
    let issue = async || {
        let new = NewKey { name: "root".to_owned(), role: Role::PlatformAdmin, scopes: None, expires_at: None };
        keys.issue(KeyOwner::Platform, ApiKeyId::random(), new).await.unwrap().key.id
    };
    let mut first = issue().await;
    for _ in 0..25 {
        let second = issue().await;
        let revoke = |id| keys.revoke(KeyOwner::Platform, id);
        let done = tokio::join!(revoke(first), revoke(second));
        assert_eq!(u8::from(done.0.is_ok()) + u8::from(done.1.is_ok()), 1, "{done:?}");
        first = if done.0.is_ok() { second } else { first };
    }
}
