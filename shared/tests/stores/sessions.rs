use std::time::Duration;

use futures::future::join_all;
use postrider_shared::{
    database::{AllTenants, StoreError},
    ids::SessionId,
    roles::Role,
    sessions::{Carrier, EndedBy, Recognised, Rotation},
    users::User,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    scene::{Scene, on_both},
    users::person,
};

on_both!(
    a_refresh_token_is_good_once,
    of_many_at_once_none_stays,
    who_lost_the_answer_asks_again_with_its_own_key,
    a_session_ends_by_itself_and_by_its_owner,
    a_cookie_is_replaced_and_its_reuse_ends_the_session,
    a_browser_that_lost_its_next_cookie_goes_on,
);

async fn begin(scene: &Scene, carrier: Carrier) -> (SessionId, String) {
    let user = person(scene, "jo@example.com", Role::Agent).await;
    let begun = scene.stores.sessions.begin(&user, carrier, "test").await.unwrap().unwrap();
    assert_eq!(begun.session.client, "test");
    (begun.session.id, begun.token.expose_secret().to_owned())
}

fn next(rotation: Rotation) -> String {
    match rotation {
        Rotation::Next { token, .. } => token.expose_secret().to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn a_refresh_token_is_good_once(scene: Scene) {
    let sessions = &scene.stores.sessions;
    let (id, first) = begin(&scene, Carrier::Tokens).await;
    assert!(matches!(sessions.recognise(&first).await.unwrap(), Recognised::Unknown), "it is no cookie");
    let second = next(sessions.refresh(&first, None).await.unwrap());
    let third = next(sessions.refresh(&second, None).await.unwrap());
    assert!(sessions.live(id).await.unwrap().is_some());
    assert!(matches!(sessions.refresh(&first, None).await.unwrap(), Rotation::Reused(ended) if ended == id));
    assert!(sessions.live(id).await.unwrap().is_none());
    for token in [first, second, third] {
        assert!(matches!(sessions.refresh(&token, None).await.unwrap(), Rotation::Unknown));
    }
}

async fn of_many_at_once_none_stays(scene: Scene) {
    let sessions = &scene.stores.sessions;
    let (id, first) = begin(&scene, Carrier::Tokens).await;
    let all = join_all((0..8).map(|_| sessions.refresh(&first, None))).await;
    let got = all.into_iter().filter(|one| matches!(one.as_ref().unwrap(), Rotation::Next { .. })).count();
    assert_eq!(got, 1);
    assert!(sessions.live(id).await.unwrap().is_none());
}

async fn who_lost_the_answer_asks_again_with_its_own_key(scene: Scene) {
    let sessions = &scene.stores.sessions;
    let (id, first) = begin(&scene, Carrier::Tokens).await;
    let second = next(sessions.refresh(&first, Some("request 1")).await.unwrap());
    assert_eq!(next(sessions.refresh(&first, Some("request 1")).await.unwrap()), second, "the same successor");
    let third = next(sessions.refresh(&second, Some("request 2")).await.unwrap());
    assert!(matches!(sessions.refresh(&first, Some("request 1")).await.unwrap(), Rotation::Reused(_)));
    assert!(matches!(sessions.refresh(&third, None).await.unwrap(), Rotation::Unknown));
    assert!(sessions.live(id).await.unwrap().is_none());

    for (key, wait) in [(Some("another"), 0), (None, 0), (Some("request 1"), 60)] {
        let user = sessions_owner(&scene).await;
        let begun = sessions.begin(&user, Carrier::Tokens, "test").await.unwrap().unwrap();
        let first = begun.token.expose_secret();
        next(sessions.refresh(first, Some("request 1")).await.unwrap());
        scene.clock.advance(Duration::from_secs(wait));
        let again = sessions.refresh(first, key).await.unwrap();
        assert!(matches!(again, Rotation::Reused(_)), "{key:?} after {wait} s");
    }
}

async fn sessions_owner(scene: &Scene) -> User {
    let members = scene.stores.members.list(scene.tenant, None, 1).await.unwrap();
    members.items[0].user.clone()
}

async fn a_session_ends_by_itself_and_by_its_owner(scene: Scene) {
    let sessions = &scene.stores.sessions;
    let (id, mut token) = begin(&scene, Carrier::Tokens).await;
    let user = sessions_owner(&scene).await;
    // Used once a day it lasts, but not for ever.
    for _ in 0..90 {
        scene.clock.advance(Duration::from_hours(23));
        token = next(sessions.refresh(&token, None).await.unwrap());
    }
    scene.clock.advance(Duration::from_hours(24 * 6));
    assert!(sessions.live(id).await.unwrap().is_none(), "ninety days are over");
    assert!(matches!(sessions.refresh(&token, None).await.unwrap(), Rotation::Unknown));
    let idle = sessions.begin(&user, Carrier::Tokens, "idle").await.unwrap().unwrap();
    scene.clock.advance(Duration::from_hours(24 * 7));
    assert!(sessions.live(idle.session.id).await.unwrap().is_none());

    let begin = async |client: &str| sessions.begin(&user, Carrier::Tokens, client).await.unwrap().unwrap();
    let (one, two, three) = (begin("one").await, begin("two").await, begin("three").await);
    assert_eq!(sessions.list(user.id).await.unwrap().len(), 3);
    let ann = person(&scene, "ann@example.com", Role::Agent).await.id;
    let refused = sessions.end(ann, one.session.id, EndedBy::SignedOut).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })));
    assert!(sessions.live(one.session.id).await.unwrap().is_some(), "nobody signs others out");
    sessions.end(user.id, one.session.id, EndedBy::SignedOut).await.unwrap();
    assert!(sessions.live(one.session.id).await.unwrap().is_none());
    sessions.end_all(user.id, Some(two.session.id), EndedBy::PasswordChanged).await.unwrap();
    assert!(sessions.live(three.session.id).await.unwrap().is_none());
    assert_eq!(sessions.list(user.id).await.unwrap().len(), 1);
    assert!(matches!(sessions.refresh(three.token.expose_secret(), None).await.unwrap(), Rotation::Unknown));
    scene.clock.advance(Duration::from_hours(24 * 40));
    assert_eq!(sessions.prune(AllTenants, 100).await.unwrap(), 5);
}

async fn see(scene: &Scene, cookie: &str) -> Option<Option<SecretString>> {
    match scene.stores.sessions.recognise(cookie).await.unwrap() {
        Recognised::Live { next, .. } => Some(next),
        Recognised::Reused(_) | Recognised::Unknown => None,
    }
}

async fn a_cookie_is_replaced_and_its_reuse_ends_the_session(scene: Scene) {
    let (id, first) = begin(&scene, Carrier::Cookie).await;
    assert!(
        matches!(scene.stores.sessions.refresh(&first, None).await.unwrap(), Rotation::Unknown),
        "no refresh token"
    );
    assert!(see(&scene, &first).await.unwrap().is_none());
    scene.clock.advance(Duration::from_mins(16));
    let both = [see(&scene, &first).await.unwrap(), see(&scene, &first).await.unwrap()];
    let [Some(second), None] = both else { panic!("of two requests at once one gets the next cookie") };
    assert!(see(&scene, second.expose_secret()).await.unwrap().is_none());
    assert!(see(&scene, &first).await.is_some(), "a request that was on its way");
    scene.clock.advance(Duration::from_mins(2));
    let reused = scene.stores.sessions.recognise(&first).await.unwrap();
    assert!(matches!(reused, Recognised::Reused(ended) if ended == id), "{reused:?}");
    assert!(see(&scene, second.expose_secret()).await.is_none());
    assert!(scene.stores.sessions.live(id).await.unwrap().is_none());
}

async fn a_browser_that_lost_its_next_cookie_goes_on(scene: Scene) {
    let (_, first) = begin(&scene, Carrier::Cookie).await;
    scene.clock.advance(Duration::from_mins(16));
    let lost = see(&scene, &first).await.unwrap().unwrap();
    scene.clock.advance(Duration::from_mins(2));
    let second = see(&scene, &first).await.unwrap().unwrap();
    assert!(see(&scene, lost.expose_secret()).await.is_none(), "the lost one is void");
    assert!(see(&scene, second.expose_secret()).await.is_some());
}
