use std::time::Duration;

use futures::future::join_all;
use postrider_shared::{
    database::AllTenants,
    ids::CodeId,
    one_time_codes::{CodePurpose, NewRegistration},
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
    a_code_is_good_once_and_for_its_purpose,
    fifty_guesses_at_once_count_as_five,
    an_address_gets_fifteen_codes_an_hour,
    a_registration_becomes_a_user_and_a_tenant,
    an_address_that_is_taken_gets_no_code,
);

fn jo() -> Email {
    Email::parse("jo@example.com").unwrap()
}

/// The id of a code that was just made for Jo, and its digits.
async fn code(scene: &Scene, purpose: CodePurpose) -> (CodeId, String) {
    let user = match scene.stores.users.by_email(&jo()).await.unwrap() {
        Some(user) => user,
        None => person(scene, "jo@example.com", Role::Agent).await,
    };
    let id = CodeId::random();
    scene.stores.one_time_codes.issue(id, purpose, (user.id, &jo())).await.unwrap().unwrap();
    (id, digits(scene, id).await)
}

async fn digits(scene: &Scene, id: CodeId) -> String {
    let row = scene.stores.one_time_codes.get(AllTenants, id).await.unwrap().unwrap();
    let code = scene.stores.one_time_codes.open(&row).unwrap().expose_secret().to_owned();
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    assert!(!format!("{row:?}").contains(&code) || code == "000000", "the digits stand in the row");
    code
}

async fn a_code_is_good_once_and_for_its_purpose(scene: Scene) {
    let codes = &scene.stores.one_time_codes;
    let (id, digits) = code(&scene, CodePurpose::SignIn).await;
    assert!(codes.redeem(id, CodePurpose::ResetPassword, &digits).await.unwrap().is_none());
    assert!(codes.redeem(CodeId::random(), CodePurpose::SignIn, &digits).await.unwrap().is_none());
    let taken = join_all((0..4).map(|_| codes.redeem(id, CodePurpose::SignIn, &digits))).await;
    assert_eq!(taken.into_iter().filter_map(Result::unwrap).count(), 1);
    let (id, digits) = code(&scene, CodePurpose::SignIn).await;
    scene.clock.advance(Duration::from_mins(10));
    assert!(codes.redeem(id, CodePurpose::SignIn, &digits).await.unwrap().is_none(), "ten minutes are over");
    assert!(!codes.mailing(AllTenants, id).await.unwrap(), "it is not mailed any more");
    scene.clock.advance(Duration::from_hours(25));
    assert_eq!(codes.prune(AllTenants, 100).await.unwrap(), 2);
}

async fn fifty_guesses_at_once_count_as_five(scene: Scene) {
    let codes = &scene.stores.one_time_codes;
    let (id, digits) = code(&scene, CodePurpose::SignIn).await;
    let wrong = if digits == "111111" { "222222" } else { "111111" };
    let guesses = join_all((0..50).map(|_| codes.redeem(id, CodePurpose::SignIn, wrong))).await;
    assert!(guesses.into_iter().all(|guess| guess.unwrap().is_none()));
    assert_eq!(codes.get(AllTenants, id).await.unwrap().unwrap().tries, 5);
    assert!(codes.redeem(id, CodePurpose::SignIn, &digits).await.unwrap().is_none(), "the right one comes too late");
}

async fn an_address_gets_fifteen_codes_an_hour(scene: Scene) {
    let user = person(&scene, "jo@example.com", Role::Agent).await.id;
    let codes = &scene.stores.one_time_codes;
    let email = jo();
    let asked = join_all((0..20).map(|_| codes.issue(CodeId::random(), CodePurpose::SignIn, (user, &email)))).await;
    let issued: Vec<CodeId> = asked.into_iter().filter_map(Result::unwrap).map(|issued| issued.code).collect();
    assert_eq!(issued.len(), 15);
    // All of them together may be guessed less than twice as often as five.
    let mut guesses = 0;
    for id in issued {
        guesses += 5 - codes.get(AllTenants, id).await.unwrap().unwrap().tries;
        assert!(codes.redeem(id, CodePurpose::SignIn, "no code").await.unwrap().is_none());
        let digits = digits(&scene, id).await;
        assert!(codes.redeem(id, CodePurpose::SignIn, &digits).await.unwrap().is_some(), "one slip is no end");
    }
    assert_eq!(guesses, 45);
    let reset = codes.issue(CodeId::random(), CodePurpose::ResetPassword, (user, &email)).await.unwrap();
    assert!(reset.is_some(), "each purpose has its own");
    scene.clock.advance(Duration::from_hours(1));
    assert!(codes.issue(CodeId::random(), CodePurpose::SignIn, (user, &email)).await.unwrap().is_some());
}

fn registration() -> NewRegistration {
    NewRegistration {
        email: jo(),
        name: "Jo".to_owned(),
        password_hash: "hash".to_owned(),
        tenant_name: "Jo's plates".to_owned(),
    }
}

async fn a_registration_becomes_a_user_and_a_tenant(scene: Scene) {
    let codes = &scene.stores.one_time_codes;
    let (first, second) = (CodeId::random(), CodeId::random());
    codes.register(first, registration()).await.unwrap().unwrap();
    let hostile = NewRegistration { password_hash: "mallory's".to_owned(), ..registration() };
    codes.register(second, hostile).await.unwrap().unwrap();
    let (digits, other) = (digits(&scene, first).await, digits(&scene, second).await);
    if digits != other {
        assert!(codes.registered(first, &other, TenantState::Active).await.unwrap().is_none());
    }
    let done = codes.registered(first, &digits, TenantState::Active).await.unwrap().unwrap();
    assert_eq!((done.user.password_hash.as_deref(), done.tenant.name.as_str()), (Some("hash"), "Jo's plates"));
    let member = scene.stores.members.get(done.tenant.id, done.user.id).await.unwrap();
    assert_eq!(member.membership.role, Role::TenantAdmin);
    assert!(codes.registered(first, &digits, TenantState::Active).await.unwrap().is_none(), "once");
    assert!(codes.registered(second, &other, TenantState::Active).await.is_err(), "the address has its user");
}

async fn an_address_that_is_taken_gets_no_code(scene: Scene) {
    person(&scene, "jo@example.com", Role::Agent).await;
    let codes = &scene.stores.one_time_codes;
    let id = CodeId::random();
    codes.register(id, registration()).await.unwrap().unwrap();
    let row = codes.get(AllTenants, id).await.unwrap().unwrap();
    assert_eq!(row.purpose, CodePurpose::AddressTaken);
    let digits = digits(&scene, id).await;
    assert!(codes.registered(id, &digits, TenantState::Active).await.unwrap().is_none());
}
