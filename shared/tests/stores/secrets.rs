//! All sealed texts are found and sealed with another key, whatever else happens to their rows.

use std::collections::HashMap;
use std::time::Duration;

use postrider_shared::{
    accounts::{AccountChange, NewAccount},
    database::AllTenants,
    google::{Granted, OwnersAnswer, TokenSecret},
    ids::{CodeId, InvitationId},
    invitations::NewInvitation,
    one_time_codes::CodePurpose,
    roles::Role,
    seal::{KeyRing, SEALED_COLUMNS},
    secrets::{Place, RotationStep, STEP, Secrets},
    stores::Stores,
    users::Email,
};
use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
use secrecy::ExposeSecret;

use crate::{
    scene::{KEYS, Scene, account_settings, on_both},
    users::person,
};

const NEW: &str = "k2:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

on_both!(
    every_column_with_sealed_texts_is_in_the_list,
    a_rotation_seals_everything_again,
    a_rotation_leaves_what_does_not_open,
    a_password_that_changes_meanwhile_is_not_put_back,
);

impl Scene {
    fn rotated(&self) -> Stores {
        Stores::new(&self.database, &self.clock, Some(KeyRing::parse(&format!("{NEW},{KEYS}")).unwrap()))
    }

    /// One secret of every sort: those of a new store belong here.
    async fn one_of_each(&self) {
        let account = self.account().await;
        let stores = &self.stores;
        let asked = stores.consents.ask(&account).await.unwrap();
        stores.consents.answered(&asked.state, OwnersAnswer::Code("the code".to_owned().into())).await.unwrap();
        stores.consents.ask(&account).await.unwrap();
        let granted = Granted {
            access: "access".to_owned().into(),
            expires_at: self.now(),
            refresh: Some("refresh".to_owned().into()),
        };
        stores.grants.put(self.tenant, account.id, &granted).await.unwrap();
        let user = person(self, "one@example.com", Role::Agent).await.id;
        let email = Email::parse("one@example.com").unwrap();
        let code = stores.one_time_codes.issue(CodeId::random(), CodePurpose::SignIn, (user, &email));
        code.await.unwrap().unwrap();
        let invitation = NewInvitation {
            id: InvitationId::random(),
            email: Email::parse("two@example.com").unwrap(),
            role: Role::Viewer,
            invited_by: "key 1".to_owned(),
        };
        stores.invitations.create(Some(self.tenant), invitation).await.unwrap();
    }
}

async fn run(secrets: &Secrets) -> RotationStep {
    let (mut all, mut place) = (RotationStep::default(), Some(Place::default()));
    while let Some(from) = place {
        let step = secrets.rotate(AllTenants, from).await.unwrap();
        assert!(step.resealed + step.unreadable <= STEP);
        all.resealed += step.resealed;
        all.unreadable += step.unreadable;
        place = step.next;
    }
    all
}

async fn by_key(secrets: &Secrets) -> HashMap<String, u64> {
    let mut all = HashMap::new();
    for count in secrets.count(AllTenants).await.unwrap() {
        *all.entry(count.key).or_default() += count.values;
    }
    all
}

/// Every column of every table whose values look sealed, or whose name says that they are.
async fn sealed_columns(scene: &Scene) -> Vec<(String, String)> {
    let reader = scene.database.reader();
    let backend = reader.get_database_backend();
    let sql = match backend {
        DbBackend::Sqlite => {
            "SELECT m.name AS t, c.name AS c FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        }
        _ => {
            "SELECT table_name::text AS t, column_name::text AS c FROM information_schema.columns WHERE table_schema = 'public'"
        }
    };
    let mut found = Vec::new();
    for row in reader.query_all_raw(Statement::from_string(backend, sql)).await.unwrap() {
        let (table, column): (String, String) = (row.try_get("", "t").unwrap(), row.try_get("", "c").unwrap());
        let sealed = format!("SELECT 1 FROM \"{table}\" WHERE CAST(\"{column}\" AS TEXT) LIKE 's1:%' LIMIT 1");
        let holds = reader.query_one_raw(Statement::from_string(backend, sealed)).await.unwrap().is_some();
        if holds || column.ends_with("_sealed") {
            found.push((table, column));
        }
    }
    found.sort();
    found
}

async fn every_column_with_sealed_texts_is_in_the_list(scene: Scene) {
    scene.one_of_each().await;
    let mut listed: Vec<_> = SEALED_COLUMNS.iter().map(|c| (c.table.to_owned(), c.column.to_owned())).collect();
    listed.sort();
    assert_eq!(sealed_columns(&scene).await, listed);
    // `one_of_each` has one in every column, so that the rotation of each is tried.
    let counts = scene.stores.secrets.count(AllTenants).await.unwrap();
    for column in SEALED_COLUMNS {
        assert!(
            counts.iter().any(|count| count.column == column),
            "nothing is sealed in {}.{}",
            column.table,
            column.column
        );
    }
}

async fn a_rotation_seals_everything_again(scene: Scene) {
    scene.one_of_each().await;
    let account = scene.stores.accounts.list(scene.tenant, None, 1).await.unwrap().items.remove(0);
    // More than one step.
    let mut accounts = vec![];
    for number in 0..STEP + 7 {
        let new = NewAccount {
            settings: account_settings(&format!("box{number}@example.com")),
            password: format!("password {number}").into(),
        };
        accounts.push(scene.stores.accounts.create(scene.tenant, new).await.unwrap());
    }
    let sealed = by_key(&scene.stores.secrets).await["k1"];
    let stores = scene.rotated();
    let all = run(&stores.secrets).await;
    assert_eq!((all.resealed, all.unreadable), (sealed, 0));
    assert_eq!(by_key(&stores.secrets).await, HashMap::from([("k2".to_owned(), sealed)]));
    assert_eq!(run(&stores.secrets).await, RotationStep::default(), "a second run finds nothing");

    // The old key is not needed any more.
    let stores = Stores::new(&scene.database, &scene.clock, Some(KeyRing::parse(NEW).unwrap()));
    for (number, account) in accounts.iter().enumerate() {
        let account = stores.accounts.get(scene.tenant, account.id).await.unwrap();
        assert_eq!(stores.accounts.password(&account).unwrap().expose_secret(), format!("password {number}"));
        assert!(scene.stores.accounts.password(&account).is_err(), "sealed with a key the old ring does not have");
    }
    let grant = stores.grants.get(scene.tenant, account.id).await.unwrap().unwrap();
    let open = |which| stores.grants.open(&grant, which).unwrap().unwrap().expose_secret().to_owned();
    assert_eq!((open(TokenSecret::Refresh), open(TokenSecret::Access)), ("refresh".to_owned(), "access".to_owned()));
}

async fn a_rotation_leaves_what_does_not_open(scene: Scene) {
    scene.one_of_each().await;
    let other = KeyRing::parse(&format!("{NEW},k3:IBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")).unwrap();
    let stores = Stores::new(&scene.database, &scene.clock, Some(other));
    let before = by_key(&stores.secrets).await;
    let all = run(&stores.secrets).await;
    assert_eq!((all.resealed, all.unreadable), (0, before["k1"]));
    assert_eq!(by_key(&stores.secrets).await, before);
}

/// Somebody's change is under way and holds the row when the rotation comes. (That a text is compared before it is replaced, the tests of
/// the rotation itself show.)
async fn a_password_that_changes_meanwhile_is_not_put_back(scene: Scene) {
    let account = scene.account().await;
    let connection = scene.database.reader();
    let sealed = async || {
        let read = Statement::from_string(connection.get_database_backend(), "SELECT password_sealed FROM accounts");
        connection.query_one_raw(read).await.unwrap().unwrap().try_get::<String>("", "password_sealed").unwrap()
    };
    let first = sealed().await;
    let password = Some("second".to_owned().into());
    let change = AccountChange { password, ..account.settings().into() };
    scene.change_account(&account, change).await.unwrap();
    let second = sealed().await;
    let set = |text: &str| format!("UPDATE accounts SET password_sealed = '{text}'");
    connection.execute_unprepared(&set(&first)).await.unwrap();

    let stores = scene.rotated();
    let change = connection.begin().await.unwrap();
    change.execute_unprepared(&set(&second)).await.unwrap();
    let mut rotation = Box::pin(run(&stores.secrets));
    // PostgreSQL passes the row over; SQLite waits, having looked at nothing yet.
    let passed = tokio::time::timeout(Duration::from_millis(500), &mut rotation).await;
    assert_eq!(passed.is_ok(), change.get_database_backend() == DbBackend::Postgres, "{passed:?}");
    change.commit().await.unwrap();
    if let Ok(passed) = passed {
        assert_eq!(passed.resealed, 0, "nobody waits, and nothing is taken from under the change");
    } else {
        rotation.await;
    }
    run(&stores.secrets).await;
    assert_eq!(by_key(&stores.secrets).await, HashMap::from([("k2".to_owned(), 1)]));
    let account = stores.accounts.get(scene.tenant, account.id).await.unwrap();
    assert_eq!(stores.accounts.password(&account).unwrap().expose_secret(), "second");
}
