//! What people do with their own account.

mod leaving;

use std::time::Duration;

use futures::future::join_all;
use postrider_shared::{
    database::{AllTenants, StoreError},
    identities::{Entered, Newcomer, Proven},
    ids::{CodeId, NoticeId, UserId},
    one_time_codes::CodePurpose,
    profiles::Proof,
    roles::Role,
    sessions::Carrier,
    tenants::TenantState,
    users::{Email, User},
};
use sea_orm::{ConnectionTrait as _, Statement};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    scene::{Scene, on_both},
    users::person_with,
};

on_both!(
    an_address_is_proven_by_the_code_that_goes_there,
    of_two_who_prove_one_address_at_once_one_has_it,
    a_notice_is_mailed_once_while_it_is_news,
);

const HASH: &str = "$argon2id$planted";

fn password() -> Proof {
    Proof::Password { hash: HASH.into() }
}

/// Somebody with this role, and the password behind [`password`].
async fn member(scene: &Scene, email: &str, role: Role) -> User {
    person_with(scene, email, role, Some(HASH)).await
}

async fn digits(scene: &Scene, id: CodeId) -> SecretString {
    let row = scene.stores.one_time_codes.get(AllTenants, id).await.unwrap().unwrap();
    scene.stores.one_time_codes.open(&row).unwrap()
}

/// A code of this person's.
async fn code(scene: &Scene, user: &User, purpose: CodePurpose) -> (CodeId, SecretString) {
    let (id, email) = (CodeId::random(), Email::parse(&user.email).unwrap());
    scene.stores.one_time_codes.issue(id, purpose, (user.id, &email)).await.unwrap().unwrap();
    (id, digits(scene, id).await)
}

/// Asks for this address; the code that goes there.
async fn ask(scene: &Scene, user: UserId, email: &str) -> (CodeId, SecretString) {
    let (id, email) = (CodeId::random(), Email::parse(email).unwrap());
    let entries = scene.stores.profiles.ask_email(id, user, &password(), &email).await.unwrap().unwrap();
    assert_eq!(entries.len(), 1, "taken or not");
    (id, digits(scene, id).await)
}

/// The notices there are: what, and to whom.
async fn notices(scene: &Scene) -> Vec<(NoticeId, String, String)> {
    let reader = scene.database.reader();
    let sql = "SELECT id, kind, email FROM notices ORDER BY created_at, id";
    let rows = reader.query_all_raw(Statement::from_string(reader.get_database_backend(), sql)).await.unwrap();
    let read = |row: &sea_orm::QueryResult| {
        (row.try_get("", "id").unwrap(), row.try_get("", "kind").unwrap(), row.try_get("", "email").unwrap())
    };
    rows.iter().map(read).collect()
}

async fn an_address_is_proven_by_the_code_that_goes_there(scene: Scene) {
    let (stores, profiles) = (&scene.stores, &scene.stores.profiles);
    let jo = member(&scene, "jo@example.com", Role::Agent).await;
    let ann = member(&scene, "ann@example.com", Role::Agent).await;
    let here = stores.sessions.begin(&jo, Carrier::Tokens, "here").await.unwrap().unwrap().session.id;
    let there = stores.sessions.begin(&jo, Carrier::Tokens, "there").await.unwrap().unwrap().session.id;
    let (reset, old_digits) = code(&scene, &jo, CodePurpose::ResetPassword).await;
    assert!(
        profiles
            .ask_email(CodeId::random(), jo.id, &Proof::Password { hash: "other".into() }, &email())
            .await
            .unwrap()
            .is_none()
    );

    // One that is taken gets a mail as well, and its code is good for nothing.
    let (id, digits) = ask(&scene, jo.id, "ann@example.com").await;
    assert_eq!(stores.one_time_codes.get(AllTenants, id).await.unwrap().unwrap().purpose, CodePurpose::NewEmailTaken);
    assert!(profiles.change_email((jo.id, here), id, digits.expose_secret()).await.unwrap().is_none());

    let (id, digits) = ask(&scene, jo.id, "new@example.com").await;
    let code = digits.expose_secret();
    let wrong = if code == "111111" { "222222" } else { "111111" };
    assert!(profiles.change_email((jo.id, here), id, wrong).await.unwrap().is_none());
    assert!(profiles.change_email((ann.id, here), id, code).await.unwrap().is_none(), "another's");
    assert_eq!(stores.users.get(jo.id).await.unwrap().unwrap().email, "jo@example.com");
    let told = notices(&scene).await.len();
    scene.clock.advance(Duration::from_secs(5));
    let changed = profiles.change_email((jo.id, here), id, code).await.unwrap().unwrap();
    assert_eq!((changed.email.as_str(), changed.verified_at), ("new@example.com", scene.now()));
    assert!(profiles.change_email((jo.id, here), id, code).await.unwrap().is_none(), "once");
    assert!(stores.sessions.live(here).await.unwrap().is_some());
    assert!(stores.sessions.live(there).await.unwrap().is_none());
    let redeemed = stores.one_time_codes.redeem(reset, CodePurpose::ResetPassword, old_digits.expose_secret()).await;
    assert!(redeemed.unwrap().is_none(), "what went to the old address opens nothing");
    assert!(!stores.one_time_codes.mailing(AllTenants, reset).await.unwrap());
    let told: Vec<(String, String)> =
        notices(&scene).await.into_iter().skip(told).map(|(_, kind, to)| (kind, to)).collect();
    assert_eq!(told, [("email_changed".to_owned(), "jo@example.com".to_owned())]);
    assert!(stores.users.by_email(&Email::parse("jo@example.com").unwrap()).await.unwrap().is_none());
    // An account that began on the word of an issuer loses that identity, as it does with a new password.
    let registers = Newcomer::Registers { tenant_name: "Weak".to_owned(), state: TenantState::Active };
    let Entered::Registered { user: weak, .. } = stores.identities.enter(&elsewhere(), &registers).await.unwrap()
    else {
        panic!("nobody had this address")
    };
    let (id, old_digits) = self::code(&scene, &weak, CodePurpose::ChangeEmail).await;
    let (proof, id) = (Proof::Code { id, code: old_digits }, CodeId::random());
    let strong = Email::parse("strong@example.com").unwrap();
    profiles.ask_email(id, weak.id, &proof, &strong).await.unwrap().unwrap();
    let digits = self::digits(&scene, id).await;
    stores.profiles.change_email((weak.id, here), id, digits.expose_secret()).await.unwrap().unwrap();
    assert_eq!(stores.identities.list(weak.id).await.unwrap(), vec![]);
    // Ten minutes.
    let (id, digits) = ask(&scene, jo.id, "newer@example.com").await;
    scene.clock.advance(Duration::from_mins(10));
    assert!(profiles.change_email((jo.id, here), id, digits.expose_secret()).await.unwrap().is_none());
    // Fifteen mails an hour to one address, whoever asks.
    let mut mailed = 0;
    for _ in 0..18 {
        let asked = profiles.ask_email(CodeId::random(), jo.id, &password(), &email()).await.unwrap();
        mailed += asked.unwrap().len();
    }
    assert_eq!(mailed, 15);
}

fn email() -> Email {
    Email::parse("wanted@example.com").unwrap()
}

/// Somebody of whom an issuer tells that does not manage the address.
fn elsewhere() -> Proven {
    Proven {
        issuer: "https://login.example.com".to_owned(),
        subject: "weak".to_owned(),
        email: Some(Email::parse("weak@example.com").unwrap()),
        is_authoritative: false,
        name: None,
    }
}

async fn of_two_who_prove_one_address_at_once_one_has_it(scene: Scene) {
    for round in 0..5 {
        let wanted = format!("wanted{round}@example.com");
        let mut codes = Vec::new();
        for name in ["jo", "ann"] {
            let user = member(&scene, &format!("{name}{round}@example.com"), Role::Agent).await;
            let begun = scene.stores.sessions.begin(&user, Carrier::Tokens, "test").await.unwrap().unwrap();
            let (user, session) = (user.id, begun.session.id);
            codes.push(((user, session), ask(&scene, user, &wanted).await));
        }
        let done = join_all(codes.iter().map(|(own, (id, digits))| async {
            scene.stores.profiles.change_email(*own, *id, digits.expose_secret()).await
        }))
        .await;
        assert_eq!(done.iter().filter(|done| matches!(done, Ok(Some(_)))).count(), 1, "{done:?}");
        assert_eq!(done.iter().filter(|done| matches!(done, Err(StoreError::Taken { .. }))).count(), 1, "{done:?}");
    }
}

async fn a_notice_is_mailed_once_while_it_is_news(scene: Scene) {
    let notices_of = &scene.stores.notices;
    let jo = member(&scene, "jo@example.com", Role::Agent).await;
    let session = scene.stores.sessions.begin(&jo, Carrier::Tokens, "test").await.unwrap().unwrap().session.id;
    let jo = jo.id;
    for address in ["one@example.com", "two@example.com"] {
        let (id, digits) = ask(&scene, jo, address).await;
        scene.stores.profiles.change_email((jo, session), id, digits.expose_secret()).await.unwrap().unwrap();
        scene.clock.advance(Duration::from_secs(1));
    }
    let all: Vec<_> = notices(&scene).await.into_iter().filter(|(_, kind, _)| kind == "email_changed").collect();
    let [first, second] = [all[0].0, all[1].0];
    assert!(notices_of.waiting(AllTenants, first).await.unwrap().is_some());
    let claims = join_all((0..4).map(|_| notices_of.mailing(AllTenants, first))).await;
    assert_eq!(claims.into_iter().filter(|claim| *claim.as_ref().unwrap()).count(), 1);
    assert!(notices_of.waiting(AllTenants, first).await.unwrap().is_none());
    notices_of.not_mailed(AllTenants, first).await.unwrap();
    assert!(notices_of.mailing(AllTenants, first).await.unwrap(), "the server did not have it");
    scene.clock.advance(Duration::from_hours(12));
    assert!(!notices_of.mailing(AllTenants, second).await.unwrap(), "no news any more");
    assert_eq!(notices_of.prune(AllTenants, 10).await.unwrap(), 0);
    scene.clock.advance(Duration::from_hours(13));
    assert_eq!(notices_of.prune(AllTenants, 10).await.unwrap(), 2);
}
