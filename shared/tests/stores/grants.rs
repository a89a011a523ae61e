//! Grants of Google accounts: over all processes one renews a token at a time, and only over the tokens it saw.

use std::time::Duration;

use chrono::TimeDelta;
use postrider_shared::{
    accounts::AccountState,
    google::{Grant, Granted, Renewed, TokenSecret},
    ids::AccountId,
};
use secrecy::{ExposeSecret, SecretString};

use crate::scene::{Scene, on_both};

on_both!(
    of_many_that_want_to_renew_one_may,
    a_renewal_that_was_overtaken_stores_nothing,
    a_revoked_grant_stops_its_account_unless_there_is_a_newer_one,
);

fn granted(scene: &Scene, access: &str, refresh: Option<&str>) -> Granted {
    Granted {
        access: SecretString::from(access.to_owned()),
        expires_at: scene.now() + TimeDelta::hours(1),
        refresh: refresh.map(|text| SecretString::from(text.to_owned())),
    }
}

/// An account with a grant.
async fn account(scene: &Scene) -> AccountId {
    let account = scene.account().await.id;
    scene.stores.grants.put(scene.tenant, account, &granted(scene, "first", Some("refresh"))).await.unwrap();
    account
}

async fn grant(scene: &Scene, account: AccountId) -> Grant {
    scene.stores.grants.get(scene.tenant, account).await.unwrap().unwrap()
}

fn access(scene: &Scene, grant: &Grant) -> String {
    scene.stores.grants.open(grant, TokenSecret::Access).unwrap().unwrap().expose_secret().to_owned()
}

async fn of_many_that_want_to_renew_one_may(scene: Scene) {
    let account = account(&scene).await;
    let grants = &scene.stores.grants;
    let seen = grant(&scene, account).await;
    let until = scene.now() + TimeDelta::seconds(30);
    let begun = futures::future::join_all((0..8).map(|_| grants.begin(&seen, until))).await;
    let begun: Vec<_> = begun.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(begun.len(), 1, "one asks Google");
    assert!(grants.begin(&grant(&scene, account).await, until).await.unwrap().is_none(), "nor may who looks again");

    // Its process died: the next one waits for the end of the lease, and no longer.
    scene.clock.advance(Duration::from_secs(29));
    assert!(grants.begin(&seen, until).await.unwrap().is_none());
    scene.clock.advance(Duration::from_secs(1));
    let heir = grants.begin(&seen, scene.now() + TimeDelta::seconds(30)).await.unwrap().unwrap();
    assert_eq!(grants.renewed(&begun[0], &granted(&scene, "late", None)).await.unwrap(), Renewed::Overtaken);
    let stored = grants.renewed(&heir, &granted(&scene, "second", None)).await.unwrap();
    assert_eq!(stored, Renewed::Stored { version: seen.version + 1 });
    let renewed = grant(&scene, account).await;
    assert_eq!(access(&scene, &renewed), "second");
    assert!(renewed.is_standing(), "the refresh token is kept where Google sends none");
    assert!(grants.begin(&seen, until).await.unwrap().is_none(), "who saw the old tokens renews nothing");
}

async fn a_renewal_that_was_overtaken_stores_nothing(scene: Scene) {
    let account = account(&scene).await;
    let grants = &scene.stores.grants;
    let until = scene.now() + TimeDelta::seconds(30);
    let renewal = grants.begin(&grant(&scene, account).await, until).await.unwrap().unwrap();
    // The owner consents again while Google is asked.
    grants.put(scene.tenant, account, &granted(&scene, "consented", Some("new refresh"))).await.unwrap();
    assert_eq!(grants.renewed(&renewal, &granted(&scene, "renewed", None)).await.unwrap(), Renewed::Overtaken);
    assert_eq!(access(&scene, &grant(&scene, account).await), "consented");
}

async fn a_revoked_grant_stops_its_account_unless_there_is_a_newer_one(scene: Scene) {
    let account = account(&scene).await;
    let grants = &scene.stores.grants;
    let old = grant(&scene, account).await.version;
    grants.put(scene.tenant, account, &granted(&scene, "consented", Some("new refresh"))).await.unwrap();
    assert!(grants.revoked((scene.tenant, account), old, "invalid_grant").await.unwrap().is_none());
    assert!(grant(&scene, account).await.is_standing());

    let newest = grant(&scene, account).await.version;
    let paused = grants.revoked((scene.tenant, account), newest, "invalid_grant").await.unwrap().unwrap();
    assert_eq!(paused.state, AccountState::NeedsConsent);
    assert!(!grant(&scene, account).await.is_standing());
    assert!(scene.stores.grants.get(scene.stranger, account).await.unwrap().is_none());
}
