//! Another password, and whoever signs in, refreshes or leaves at that moment.

use futures::future::{join, join_all};
use postrider_shared::{
    database::AllTenants,
    identities::{Entered, Newcomer, Proven},
    ids::{CodeId, SessionId},
    one_time_codes::CodePurpose,
    profiles::Proof,
    roles::Role,
    sessions::{Carrier, Rotation},
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
    a_reset_is_done_whole_or_not_at_all,
    a_change_is_done_whole_or_not_at_all,
    wrong_guesses_are_counted_and_another_codes_purpose_is_none,
    of_two_resets_with_one_code_one_wins,
    who_signs_in_during_a_reset_has_no_session_of_before,
    who_signs_in_during_a_change_has_no_session_of_before,
    who_signs_in_while_the_account_goes_is_not_known,
    what_was_looked_at_before_a_change_opens_nothing,
);

const OLD: &str = "$argon2id$old";
const NEW: &str = "$argon2id$new";
const ROUNDS: usize = 25;

async fn jo(scene: &Scene, number: usize) -> User {
    person_with(scene, &format!("jo{number}@example.com"), Role::Agent, Some(OLD)).await
}

async fn sign_in(scene: &Scene, user: &User) -> (SessionId, SecretString) {
    let begun = scene.stores.sessions.begin(user, Carrier::Tokens, "test").await.unwrap().unwrap();
    (begun.session.id, begun.token)
}

/// A code for a new password.
async fn code(scene: &Scene, user: &User) -> (CodeId, String) {
    let (id, email) = (CodeId::random(), Email::parse(&user.email).unwrap());
    let codes = &scene.stores.one_time_codes;
    codes.issue(id, CodePurpose::ResetPassword, (user.id, &email)).await.unwrap().unwrap();
    let row = codes.get(AllTenants, id).await.unwrap().unwrap();
    (id, codes.open(&row).unwrap().expose_secret().to_owned())
}

async fn count(scene: &Scene, what: &str) -> i64 {
    let reader = scene.database.reader();
    let sql = Statement::from_string(reader.get_database_backend(), format!("SELECT COUNT(*) AS many FROM {what}"));
    reader.query_one_raw(sql).await.unwrap().unwrap().try_get("", "many").unwrap()
}

/// The password's hash, how many sessions are live, how many notices there are.
async fn standing(scene: &Scene, user: &User) -> (String, usize, i64) {
    let hash = scene.stores.users.get(user.id).await.unwrap().unwrap().password_hash.unwrap();
    let notices = format!("notices WHERE email = '{}'", user.email);
    (hash, scene.stores.sessions.list(user.id).await.unwrap().len(), count(scene, &notices).await)
}

/// Sessions cannot be ended, which is the last that is done.
async fn without_tokens(scene: &Scene, gone: bool) {
    let (from, to) = if gone { ("session_tokens", "elsewhere") } else { ("elsewhere", "session_tokens") };
    let sql = format!("ALTER TABLE {from} RENAME TO {to}");
    scene.database.reader().execute_unprepared(&sql).await.unwrap();
}

async fn a_reset_is_done_whole_or_not_at_all(scene: Scene) {
    let (stores, registers) =
        (&scene.stores, Newcomer::Registers { tenant_name: "Weak".to_owned(), state: TenantState::Active });
    let proven = Proven {
        issuer: "https://login.example.com".to_owned(),
        subject: "weak".to_owned(),
        email: Some(Email::parse("jo@example.com").unwrap()),
        is_authoritative: false,
        name: None,
    };
    let Entered::Registered { user: jo, .. } = stores.identities.enter(&proven, &registers).await.unwrap() else {
        panic!("nobody had this address")
    };
    let (first, digits) = code(&scene, &jo).await;
    stores.profiles.reset_password(first, &digits, OLD.to_owned()).await.unwrap().unwrap();
    assert_eq!(stores.identities.list(jo.id).await.unwrap(), vec![], "the mail proved more than the issuer did");
    let notices = standing(&scene, &jo).await.2;
    assert_eq!(notices, 2, "of the password, and of the identity");
    let jo = stores.users.get(jo.id).await.unwrap().unwrap();
    for _ in 0..2 {
        sign_in(&scene, &jo).await;
    }

    let (id, digits) = code(&scene, &jo).await;
    let reset = || stores.profiles.reset_password(id, &digits, NEW.to_owned());
    without_tokens(&scene, true).await;
    reset().await.unwrap_err();
    without_tokens(&scene, false).await;
    assert_eq!(standing(&scene, &jo).await, (OLD.to_owned(), 2, notices));
    let row = stores.one_time_codes.get(AllTenants, id).await.unwrap().unwrap();
    assert_eq!((row.tries, row.used_at), (0, None), "the code is good still");

    assert_eq!(reset().await.unwrap(), Some(jo.id));
    assert_eq!(standing(&scene, &jo).await, (NEW.to_owned(), 0, notices + 1));
    assert_eq!(reset().await.unwrap(), None, "once");
}

async fn a_change_is_done_whole_or_not_at_all(scene: Scene) {
    let (scene, jo) = (&scene, &jo(&scene, 0).await);
    let (here, _) = sign_in(scene, jo).await;
    sign_in(scene, jo).await;
    let change = |current: &'static str| {
        let current = SecretString::from(current);
        async move { scene.stores.profiles.change_password((jo.id, here), &current, NEW.to_owned()).await }
    };
    without_tokens(scene, true).await;
    change(OLD).await.unwrap_err();
    without_tokens(scene, false).await;
    assert_eq!(standing(scene, jo).await, (OLD.to_owned(), 2, 0));
    for wrong in ["$argon2id$other", "", NEW] {
        assert!(!change(wrong).await.unwrap(), "{wrong}");
    }
    assert_eq!(standing(scene, jo).await, (OLD.to_owned(), 2, 0));
    assert!(change(OLD).await.unwrap());
    assert_eq!(standing(scene, jo).await, (NEW.to_owned(), 1, 1));
    assert!(scene.stores.sessions.live(here).await.unwrap().is_some());
}

async fn wrong_guesses_are_counted_and_another_codes_purpose_is_none(scene: Scene) {
    let (jo, codes) = (jo(&scene, 0).await, &scene.stores.one_time_codes);
    let reset = |id: CodeId, code: String| {
        let profiles = &scene.stores.profiles;
        async move { profiles.reset_password(id, &code, NEW.to_owned()).await.unwrap() }
    };
    let sign_in = CodeId::random();
    codes.issue(sign_in, CodePurpose::SignIn, (jo.id, &Email::parse(&jo.email).unwrap())).await.unwrap();
    let row = codes.get(AllTenants, sign_in).await.unwrap().unwrap();
    assert_eq!(reset(sign_in, codes.open(&row).unwrap().expose_secret().to_owned()).await, None);
    assert_eq!(reset(CodeId::random(), "000000".to_owned()).await, None);
    let (id, digits) = code(&scene, &jo).await;
    let wrong = if digits == "111111" { "222222" } else { "111111" };
    let guesses = join_all((0..50).map(|_| reset(id, wrong.to_owned()))).await;
    assert!(guesses.iter().all(Option::is_none));
    assert_eq!(codes.get(AllTenants, id).await.unwrap().unwrap().tries, 5);
    assert_eq!(reset(id, digits).await, None, "the right one comes too late");
    assert_eq!(standing(&scene, &jo).await, (OLD.to_owned(), 0, 0));
}

async fn of_two_resets_with_one_code_one_wins(scene: Scene) {
    for round in 0..ROUNDS {
        let jo = jo(&scene, round).await;
        let (id, digits) = code(&scene, &jo).await;
        let resets = ["$argon2id$one", "$argon2id$two"].map(|hash| {
            let reset = scene.stores.profiles.reset_password(id, &digits, hash.to_owned());
            async move { (hash, reset.await.unwrap()) }
        });
        let done = join_all(resets).await;
        let won: Vec<&str> = done.iter().filter(|(_, user)| user.is_some()).map(|(hash, _)| *hash).collect();
        let [hash] = won[..] else { panic!("{done:?}") };
        assert_eq!(standing(&scene, &jo).await, (hash.to_owned(), 0, 1));
    }
}

/// Three who sign in on what they saw, and one who refreshes, a little before the change or after it: each gets an answer.
async fn during(scene: &Scene, (jo, token): (&User, &SecretString), round: usize, change: impl Future<Output = ()>) {
    let sign_ins = join_all((0..3).map(|_| scene.stores.sessions.begin(jo, Carrier::Tokens, "test")));
    let refresh = scene.stores.sessions.refresh(token.expose_secret(), None);
    let asked = join(sign_ins, refresh);
    let (begun, rotation) =
        if round.is_multiple_of(2) { join(asked, change).await.0 } else { join(change, asked).await.1 };
    for begun in begun {
        begun.unwrap();
    }
    assert!(!matches!(rotation.unwrap(), Rotation::Reused(_)));
}

async fn who_signs_in_during_a_reset_has_no_session_of_before(scene: Scene) {
    for round in 0..ROUNDS {
        let jo = jo(&scene, round).await;
        let (_, token) = sign_in(&scene, &jo).await;
        let (id, digits) = code(&scene, &jo).await;
        let reset = async {
            scene.stores.profiles.reset_password(id, &digits, NEW.to_owned()).await.unwrap().unwrap();
        };
        Box::pin(during(&scene, (&jo, &token), round, reset)).await;
        assert_eq!(standing(&scene, &jo).await, (NEW.to_owned(), 0, 1), "round {round}");
        assert_eq!(count(&scene, "session_tokens").await, 0);
    }
}

async fn who_signs_in_during_a_change_has_no_session_of_before(scene: Scene) {
    for round in 0..ROUNDS {
        let jo = jo(&scene, round).await;
        let (here, _) = sign_in(&scene, &jo).await;
        let (_, token) = sign_in(&scene, &jo).await;
        let change = async {
            assert!(scene.stores.profiles.change_password((jo.id, here), &OLD.into(), NEW.to_owned()).await.unwrap());
        };
        Box::pin(during(&scene, (&jo, &token), round, change)).await;
        assert_eq!(standing(&scene, &jo).await, (NEW.to_owned(), 1, 1), "round {round}");
        assert!(scene.stores.sessions.live(here).await.unwrap().is_some());
    }
}

async fn who_signs_in_while_the_account_goes_is_not_known(scene: Scene) {
    for round in 0..ROUNDS * 2 {
        let jo = jo(&scene, round).await;
        let (_, token) = sign_in(&scene, &jo).await;
        let leave = async {
            let proof = Proof::Password { hash: OLD.into() };
            scene.stores.profiles.leave(jo.id, &proof).await.unwrap().unwrap();
        };
        Box::pin(during(&scene, (&jo, &token), round, leave)).await;
        for table in ["users", "sessions", "session_tokens"] {
            assert_eq!(count(&scene, table).await, 0, "{table} in round {round}");
        }
        let late = scene.stores.sessions.begin(&jo, Carrier::Cookie, "late").await.unwrap();
        assert!(late.is_none());
    }
}

async fn what_was_looked_at_before_a_change_opens_nothing(scene: Scene) {
    let (stores, jo) = (&scene.stores, jo(&scene, 0).await);
    let old = Proof::Password { hash: OLD.into() };
    let (here, _) = sign_in(&scene, &jo).await;
    assert!(stores.profiles.change_password((jo.id, here), &OLD.into(), NEW.to_owned()).await.unwrap());
    assert!(stores.sessions.begin(&jo, Carrier::Tokens, "late").await.unwrap().is_none());
    assert!(stores.users.rehash(jo.clone(), "$argon2id$again".to_owned()).await.unwrap().is_none());
    assert!(stores.profiles.leave(jo.id, &old).await.unwrap().is_none());
    let jo = stores.users.get(jo.id).await.unwrap().unwrap();
    sign_in(&scene, &jo).await;
    // The same password with another hash is as good, for who saw that.
    let rehashed = stores.users.rehash(jo.clone(), OLD.to_owned()).await.unwrap().unwrap();
    assert!(stores.sessions.begin(&jo, Carrier::Tokens, "late").await.unwrap().is_none());
    sign_in(&scene, &rehashed).await;
    // Another address, too.
    let (id, email) = (CodeId::random(), Email::parse("new@example.com").unwrap());
    stores.profiles.ask_email(id, jo.id, &old, &email).await.unwrap().unwrap();
    let row = stores.one_time_codes.get(AllTenants, id).await.unwrap().unwrap();
    let digits = stores.one_time_codes.open(&row).unwrap();
    stores.profiles.change_email((jo.id, here), id, digits.expose_secret()).await.unwrap().unwrap();
    assert!(stores.sessions.begin(&rehashed, Carrier::Tokens, "late").await.unwrap().is_none());
}
