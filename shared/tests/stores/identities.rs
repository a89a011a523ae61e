//! Who people are elsewhere, and the keys of those who say so.

use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use postrider_shared::{
    database::{AllTenants, StoreError},
    identities::{Entered, Newcomer, Proven},
    ids::{CodeId, UserId},
    key_sets::{Asked, PublicKey},
    one_time_codes::CodePurpose,
    roles::Role,
    tenants::TenantState,
    users::Email,
};
use secrecy::ExposeSecret;

use crate::{
    scene::{Scene, on_both},
    users::person,
};

on_both!(
    first_sign_ins_at_once_make_one_person,
    an_identity_is_one_persons_and_the_last_way_in_stays,
    fifty_ask_for_keys_and_one_job_fetches_them,
    a_fetch_that_began_later_has_the_last_word,
    what_is_doubtful_is_one_persons,
    keys_of_issuers_are_kept_apart,
);

fn proven(subject: &str, email: &str) -> Proven {
    Proven {
        issuer: "https://login.example.com".to_owned(),
        subject: subject.to_owned(),
        email: Some(Email::parse(email).unwrap()),
        is_authoritative: true,
        name: Some("Jo".to_owned()),
    }
}

async fn first_sign_ins_at_once_make_one_person(scene: Scene) {
    let registers = Newcomer::Registers { tenant_name: "Plates".to_owned(), state: TenantState::Active };
    // By an issuer whose word finds no account by its address: the one that was made a moment ago must be known all the same.
    let jo = Proven { is_authoritative: false, ..proven("jo", "jo@example.com") };
    let all = join_all((0..12).map(|_| scene.stores.identities.enter(&jo, &registers))).await;
    let mut people = Vec::new();
    let mut made = 0;
    for entered in all {
        match entered.unwrap() {
            Entered::Registered { user, .. } => {
                made += 1;
                people.push(user.id);
            }
            Entered::Known(user) | Entered::Linked(user) => people.push(user.id),
            other => panic!("{other:?}"),
        }
    }
    people.dedup();
    assert_eq!((made, people.len()), (1, 1));
    assert_eq!(scene.stores.identities.list(people[0]).await.unwrap().len(), 1);
}

async fn an_identity_is_one_persons_and_the_last_way_in_stays(scene: Scene) {
    let identities = &scene.stores.identities;
    let jo = person(&scene, "jo@example.com", Role::Agent).await.id;
    let ann = person(&scene, "ann@example.com", Role::Agent).await.id;
    let racing = join_all([jo, ann].map(|user| async move {
        let one = proven("one", "one@example.com");
        identities.link(user, &one).await
    }))
    .await;
    assert_eq!(racing.iter().filter(|linked| linked.is_ok()).count(), 1, "{racing:?}");
    let owner = if racing[0].is_ok() { jo } else { ann };
    let other = if owner == jo { ann } else { jo };
    let found = identities.list(owner).await.unwrap()[0].id;
    assert!(matches!(identities.unlink(other, found).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(identities.unlink(owner, found).await, Err(StoreError::Conflict { .. })));
    reset_password(&scene, owner).await;
    identities.unlink(owner, found).await.unwrap();
    for number in 0..10 {
        identities.link(owner, &proven(&format!("{number}"), "jo@example.com")).await.unwrap();
    }
    let eleventh = identities.link(owner, &proven("eleventh", "jo@example.com")).await;
    assert!(matches!(eleventh, Err(StoreError::Conflict { .. })));
}

/// Chooses a password by mail, which proves the address.
async fn reset_password(scene: &Scene, user: UserId) {
    let codes = &scene.stores.one_time_codes;
    let email = Email::parse(&scene.stores.users.get(user).await.unwrap().unwrap().email).unwrap();
    let id = CodeId::random();
    codes.issue(id, CodePurpose::ResetPassword, (user, &email)).await.unwrap().unwrap();
    let digits = codes.open(&codes.get(AllTenants, id).await.unwrap().unwrap()).unwrap();
    let done = scene.stores.profiles.reset_password(id, digits.expose_secret(), "hash".to_owned()).await;
    assert_eq!(done.unwrap(), Some(user));
}

async fn fifty_ask_for_keys_and_one_job_fetches_them(scene: Scene) {
    let issuer = "https://login.example.com";
    let asked = join_all((0..50).map(|_| scene.stores.key_sets.ask(issuer))).await;
    let jobs = asked.iter().filter(|asked| matches!(asked, Ok(Asked::Now(_)))).count();
    assert_eq!((asked.iter().filter(|asked| asked.is_ok()).count(), jobs), (50, 1));
    scene.clock.advance(Duration::from_secs(29));
    let again_at = scene.clock.now() + TimeDelta::seconds(1);
    assert_eq!(scene.stores.key_sets.ask(issuer).await.unwrap(), Asked::Before { again_at });
    scene.clock.advance(Duration::from_secs(1));
    assert!(matches!(scene.stores.key_sets.ask(issuer).await.unwrap(), Asked::Now(_)));
}

async fn a_fetch_that_began_later_has_the_last_word(scene: Scene) {
    let (issuer, key_sets, now) = ("https://login.example.com", &scene.stores.key_sets, scene.clock.now());
    let key = |kid: &str| PublicKey { kid: kid.to_owned(), n: "n".to_owned(), e: "AQAB".to_owned() };
    let before = now - TimeDelta::seconds(1);
    key_sets.fetched(issuer, now, &[key("new")], None).await.unwrap();
    key_sets.fetched(issuer, before, &[key("old")], None).await.unwrap();
    key_sets.failed(issuer, before, "away").await.unwrap();
    let set = key_sets.get(issuer).await.unwrap().unwrap();
    assert_eq!((set.good(now), set.failure.as_deref()), (vec![key("new")], None));
    assert_eq!(set.refresh_at(), Some(now + TimeDelta::minutes(30)));
    // A failure takes nothing away before its time.
    key_sets.failed(issuer, now + TimeDelta::minutes(30), "away").await.unwrap();
    let set = key_sets.get(issuer).await.unwrap().unwrap();
    assert_eq!((set.good(now).len(), set.failure.as_deref()), (1, Some("away")));
    assert_eq!(set.good(now + TimeDelta::hours(1)), []);
}

async fn what_is_doubtful_is_one_persons(scene: Scene) {
    let identities = &scene.stores.identities;
    let registers = Newcomer::Registers { tenant_name: "Plates".to_owned(), state: TenantState::Active };
    let mut doubtful = Vec::new();
    for name in ["eve", "mo"] {
        let claims = Proven { is_authoritative: false, ..proven(name, &format!("{name}@example.com")) };
        let Entered::Registered { user, .. } = identities.enter(&claims, &registers).await.unwrap() else { panic!() };
        doubtful.push(user.id);
    }
    // Theirs make nobody else's doubtful.
    let jo = person(&scene, "jo@example.com", Role::Agent).await.id;
    assert!(identities.link(jo, &proven("jo", "jo@example.com")).await.unwrap().address_proven);
    assert!(!identities.link(doubtful[0], &proven("second", "eve@example.com")).await.unwrap().address_proven);
    let ann = person(&scene, "ann@example.com", Role::Agent).await.id;
    let found = identities.enter(&proven("ann", "ann@example.com"), &Newcomer::Stranger).await.unwrap();
    assert!(matches!(found, Entered::Linked(user) if user.id == ann));

    // Who proves an address loses what was doubtful, and nobody loses anything else.
    reset_password(&scene, jo).await;
    reset_password(&scene, doubtful[0]).await;
    let mut left = Vec::new();
    for user in [doubtful[0], doubtful[1], jo, ann] {
        left.push(identities.list(user).await.unwrap().len());
    }
    assert_eq!(left, [0, 1, 1, 1]);
}

async fn keys_of_issuers_are_kept_apart(scene: Scene) {
    let (key_sets, now) = (&scene.stores.key_sets, scene.clock.now());
    let (ours, theirs) = ("https://login.example.com", "https://login.example.org");
    let key = |kid: &str| PublicKey { kid: kid.to_owned(), n: "n".to_owned(), e: "AQAB".to_owned() };
    key_sets.fetched(ours, now, &[key("ours")], None).await.unwrap();
    key_sets.fetched(theirs, now, &[key("theirs")], None).await.unwrap();
    key_sets.failed(theirs, now, "away").await.unwrap();
    let set = key_sets.get(ours).await.unwrap().unwrap();
    assert_eq!((set.good(now), set.failure), (vec![key("ours")], None));
    assert_eq!(key_sets.get(theirs).await.unwrap().unwrap().good(now), vec![key("theirs")]);
    // Whoever has one fetched does not keep the other from it.
    assert!(matches!(key_sets.ask(ours).await.unwrap(), Asked::Now(_)));
    assert!(matches!(key_sets.ask(theirs).await.unwrap(), Asked::Now(_)));
}
