//! People who delete their account.

use std::time::Duration;

use futures::future::join_all;
use postrider_shared::{
    api_keys::{KeyOwner, NewKey},
    database::{AllTenants, StoreError},
    identities::Proven,
    ids::{ApiKeyId, CodeId, InvitationId, TenantId, UserId},
    invitations::{Acceptance, NewInvitation},
    one_time_codes::{CodePurpose, NewRegistration},
    profiles::Proof,
    roles::Role,
    sessions::{Carrier, Rotation},
    tenants::{BeginDeletion, TenantSettings, TenantState},
    users::Email,
};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement, TransactionTrait as _};
use secrecy::{ExposeSecret, SecretString};

use super::{HASH, code, member, password};
use crate::{
    scene::{Scene, on_both},
    users::person,
};

on_both!(
    who_leaves_leaves_no_row_behind,
    nobody_leaves_by_anothers_proof,
    the_last_administrator_does_not_leave_others_or_what_is_live,
    a_tenant_that_nothing_works_for_goes_with_its_only_member,
    of_administrators_who_leave_at_once_one_stays,
    somebody_goes_on_running_the_platform,
    who_becomes_the_last_administrator_while_leaving_stays,
);

/// Somebody who runs the platform.
async fn operator(scene: &Scene, email: &str) -> UserId {
    let new = NewInvitation {
        id: InvitationId::random(),
        email: Email::parse(email).unwrap(),
        role: Role::PlatformAdmin,
        invited_by: "test".to_owned(),
    };
    let invitation = scene.stores.invitations.create(None, new).await.unwrap().invitation;
    let token: SecretString = scene.stores.invitations.open(&invitation).unwrap();
    let who = Acceptance { name: None, password_hash: Some(HASH.to_owned()) };
    scene.stores.invitations.accept(&token, who).await.unwrap().unwrap().user.id
}

/// The tables that have a text somewhere.
async fn tables_with(scene: &Scene, text: &str) -> Vec<String> {
    let reader = scene.database.reader();
    let backend = reader.get_database_backend();
    let places = match backend {
        DbBackend::Postgres => {
            "SELECT c.table_name::text AS name, c.column_name::text AS place FROM information_schema.columns c
             JOIN information_schema.tables t USING (table_schema, table_name)
             WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"
        }
        _ => {
            "SELECT m.name AS name, c.name AS place FROM sqlite_master m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        }
    };
    let mut found = Vec::new();
    for row in reader.query_all_raw(Statement::from_string(backend, places)).await.unwrap() {
        let (table, column): (String, String) = (row.try_get("", "name").unwrap(), row.try_get("", "place").unwrap());
        let sql = format!("SELECT COUNT(*) AS many FROM {table} WHERE CAST(\"{column}\" AS TEXT) LIKE '%{text}%'");
        let row = reader.query_one_raw(Statement::from_string(backend, sql)).await.unwrap().unwrap();
        if row.try_get::<i64>("", "many").unwrap() > 0 {
            found.push(table);
        }
    }
    found.dedup();
    found
}

async fn who_leaves_leaves_no_row_behind(scene: Scene) {
    let (stores, address) = (&scene.stores, "jo@planted.example");
    let jo = member(&scene, address, Role::Agent).await;
    let ann = person(&scene, "ann@example.com", Role::TenantAdmin).await;
    stores.members.add(scene.stranger, jo.id, Role::Viewer).await.unwrap();
    let begun = stores.sessions.begin(&jo, Carrier::Tokens, "planted client").await.unwrap().unwrap();
    let proven = Proven {
        issuer: "https://login.example.com".to_owned(),
        subject: "planted subject".to_owned(),
        email: Some(Email::parse(address).unwrap()),
        is_authoritative: false,
        name: None,
    };
    stores.identities.link(jo.id, &proven).await.unwrap();
    for purpose in [CodePurpose::SignIn, CodePurpose::ResetPassword] {
        code(&scene, &jo, purpose).await;
    }
    // Somebody tried to register with the address, somebody invites it once more.
    let register = NewRegistration {
        email: Email::parse(address).unwrap(),
        name: "Jo".to_owned(),
        password_hash: "hash".to_owned(),
        tenant_name: "Planted plates".to_owned(),
    };
    stores.one_time_codes.register(CodeId::random(), register).await.unwrap().unwrap();
    let invite = NewInvitation {
        id: InvitationId::random(),
        email: Email::parse(address).unwrap(),
        role: Role::Viewer,
        invited_by: "test".to_owned(),
    };
    stores.invitations.create(Some(scene.tenant), invite).await.unwrap();
    let key = NewKey::named("theirs", Role::Viewer);
    stores.api_keys.issue(KeyOwner::Tenant(scene.tenant), ApiKeyId::random(), key).await.unwrap();
    let before = tables_with(&scene, "planted").await;
    for table in ["users", "sessions", "identities", "one_time_codes", "registrations", "invitations"] {
        assert!(before.contains(&table.to_owned()), "{table} among {before:?}");
    }

    let left = stores.profiles.leave(jo.id, &password()).await.unwrap().unwrap();
    assert_eq!(left.tenants, Vec::<TenantId>::new());
    assert_eq!(tables_with(&scene, "planted").await, Vec::<String>::new());
    assert!(!tables_with(&scene, &jo.id.to_string()).await.contains(&"memberships".to_owned()));
    assert!(matches!(stores.sessions.refresh(begun.token.expose_secret(), None).await.unwrap(), Rotation::Unknown));
    assert!(stores.sessions.live(begun.session.id).await.unwrap().is_none());
    assert!(matches!(stores.profiles.leave(jo.id, &password()).await, Err(StoreError::NotFound { .. })));
    // Others, and what is the tenant's, stay.
    assert_eq!(stores.members.get(scene.tenant, ann.id).await.unwrap().user.id, ann.id);
    let keys = stores.api_keys.list(KeyOwner::Tenant(scene.tenant), None, 10).await.unwrap().items;
    assert!(keys[0].revoked_at.is_none());
    for tenant in [scene.tenant, scene.stranger] {
        assert_eq!(stores.tenants.state(tenant).await.unwrap(), TenantState::Active);
    }
}

async fn nobody_leaves_by_anothers_proof(scene: Scene) {
    let profiles = &scene.stores.profiles;
    let jo = person(&scene, "jo@example.com", Role::Agent).await;
    let ann = person(&scene, "ann@example.com", Role::Agent).await;
    assert!(profiles.leave(jo.id, &password()).await.unwrap().is_none(), "there is no password");
    let empty = Proof::Password { hash: "".into() };
    assert!(profiles.leave(jo.id, &empty).await.unwrap().is_none());
    let (id, digits) = code(&scene, &ann, CodePurpose::DeleteAccount).await;
    assert!(profiles.leave(jo.id, &Proof::Code { id, code: digits.clone() }).await.unwrap().is_none(), "another's");
    let tries = scene.stores.one_time_codes.get(AllTenants, id).await.unwrap().unwrap().tries;
    assert_eq!(tries, 0, "nobody uses up another's code");
    let (sign_in, other) = code(&scene, &jo, CodePurpose::SignIn).await;
    let wrong_purpose = Proof::Code { id: sign_in, code: other };
    assert!(profiles.leave(jo.id, &wrong_purpose).await.unwrap().is_none());
    // Fifty guesses at once count as five.
    let (id, digits) = code(&scene, &jo, CodePurpose::DeleteAccount).await;
    let wrong = if digits.expose_secret() == "111111" { "222222" } else { "111111" };
    let guess = Proof::Code { id, code: wrong.into() };
    let guesses = join_all((0..50).map(|_| profiles.leave(jo.id, &guess))).await;
    assert!(guesses.into_iter().all(|guess| guess.unwrap().is_none()));
    assert_eq!(scene.stores.one_time_codes.get(AllTenants, id).await.unwrap().unwrap().tries, 5);
    assert!(profiles.leave(jo.id, &Proof::Code { id, code: digits }).await.unwrap().is_none(), "too late");
    let (id, digits) = code(&scene, &jo, CodePurpose::DeleteAccount).await;
    assert!(profiles.leave(jo.id, &Proof::Code { id, code: digits }).await.unwrap().is_some());
    assert!(scene.stores.users.get(ann.id).await.unwrap().is_some());
}

/// The reason of a refusal.
async fn refused(scene: &Scene, user: UserId) -> String {
    match scene.stores.profiles.leave(user, &password()).await {
        Err(StoreError::Conflict { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

async fn the_last_administrator_does_not_leave_others_or_what_is_live(scene: Scene) {
    let stores = &scene.stores;
    let jo = member(&scene, "jo@example.com", Role::TenantAdmin).await.id;
    let ann = member(&scene, "ann@example.com", Role::Agent).await.id;
    assert!(refused(&scene, jo).await.contains("make one of the others its administrator"));
    stores.tenants.move_on(scene.tenant, TenantState::Active, TenantState::Suspended).await.unwrap();
    assert!(refused(&scene, jo).await.contains("the last administrator of Ours"), "suspended or not");
    stores.tenants.move_on(scene.tenant, TenantState::Suspended, TenantState::Active).await.unwrap();
    stores.profiles.leave(ann, &password()).await.unwrap().unwrap();

    let account = scene.account().await;
    assert!(refused(&scene, jo).await.contains("disconnect its mailboxes"));
    stores.accounts.disconnect(scene.tenant, account.id).await.unwrap();
    let key = NewKey::named("shop", Role::Agent);
    let issued = stores.api_keys.issue(KeyOwner::Tenant(scene.tenant), ApiKeyId::random(), key).await.unwrap();
    assert!(refused(&scene, jo).await.contains("revoke its keys"));
    stores.api_keys.revoke(KeyOwner::Tenant(scene.tenant), issued.key.id).await.unwrap();
    // Nothing of the refusals stayed.
    assert_eq!(stores.tenants.get(scene.tenant).await.unwrap().state, TenantState::Active);
    let left = stores.profiles.leave(jo, &password()).await.unwrap().unwrap();
    assert_eq!(left.tenants, [scene.tenant]);
}

async fn a_tenant_that_nothing_works_for_goes_with_its_only_member(mut scene: Scene) {
    let stores = scene.stores.clone();
    for (number, state, after) in [
        (1, TenantState::Active, TenantState::Deleting),
        (2, TenantState::Pending, TenantState::Deleting),
        (3, TenantState::Suspended, TenantState::Suspended),
        (4, TenantState::Deleting, TenantState::Deleting),
    ] {
        let tenant = stores.tenants.create(TenantSettings::named(format!("Tenant {number}"))).await.unwrap().id;
        scene.tenant = tenant;
        let jo = member(&scene, &format!("jo{number}@example.com"), Role::TenantAdmin).await.id;
        if state != TenantState::Active {
            stores.tenants.move_on(tenant, TenantState::Active, state).await.unwrap();
        }
        assert_eq!(stores.tenants.state(tenant).await.unwrap(), state);
        let left = stores.profiles.leave(jo, &password()).await.unwrap().unwrap();
        assert_eq!(stores.tenants.state(tenant).await.unwrap(), after, "from {state}, and known at once");
        let asked = state != after;
        assert_eq!((left.tenants.len(), left.entries.len()), (usize::from(asked), usize::from(asked)));
        if asked {
            let due = stores.tenants.get(tenant).await.unwrap().delete_after.unwrap();
            assert_eq!(due, scene.now() + chrono::TimeDelta::days(7));
            assert_eq!(stores.tenants.begin_deletion(tenant, due).await.unwrap(), BeginDeletion::NotBefore(due));
            assert_eq!(stores.tenants.restore(tenant).await.unwrap().state, TenantState::Suspended);
        }
    }
}

async fn of_administrators_who_leave_at_once_one_stays(scene: Scene) {
    let profiles = &scene.stores.profiles;
    person(&scene, "agent@example.com", Role::Agent).await;
    for round in 0..5 {
        let mut admins = Vec::new();
        for name in ["jo", "ann"] {
            admins.push(member(&scene, &format!("{name}{round}@example.com"), Role::TenantAdmin).await.id);
        }
        // Whoever stayed of the round before.
        for other in scene.stores.members.list(scene.tenant, None, 50).await.unwrap().items {
            if other.membership.role == Role::TenantAdmin && !admins.contains(&other.user.id) {
                scene.stores.members.remove(scene.tenant, other.user.id).await.unwrap();
            }
        }
        let proof = password();
        let done = join_all(admins.iter().map(|user| profiles.leave(*user, &proof))).await;
        assert_eq!(done.iter().filter(|done| matches!(done, Ok(Some(_)))).count(), 1, "{done:?}");
        assert_eq!(done.iter().filter(|done| matches!(done, Err(StoreError::Conflict { .. }))).count(), 1, "{done:?}");
    }
}

async fn somebody_goes_on_running_the_platform(scene: Scene) {
    for round in 0..5 {
        let one = operator(&scene, &format!("one{round}@example.com")).await;
        if round == 0 {
            assert!(refused(&scene, one).await.contains("the only one who runs the platform"));
        }
        let two = operator(&scene, &format!("two{round}@example.com")).await;
        let mut all = vec![one, two];
        if round > 0 {
            // The one who stayed of the round before.
            for user in
                (0..round).flat_map(|round| [format!("one{round}@example.com"), format!("two{round}@example.com")])
            {
                let stayed = scene.stores.users.by_email(&Email::parse(&user).unwrap()).await.unwrap();
                all.extend(stayed.map(|user| user.id));
            }
        }
        let proof = password();
        let done = join_all(all.iter().map(|user| scene.stores.profiles.leave(*user, &proof))).await;
        let refused = done.iter().filter(|done| matches!(done, Err(StoreError::Conflict { .. }))).count();
        assert_eq!(refused, 1, "{done:?}");
        assert_eq!(done.iter().filter(|done| matches!(done, Ok(Some(_)))).count(), all.len() - 1, "{done:?}");
    }
}

/// PostgreSQL only: SQLite has one writer at a time.
async fn who_becomes_the_last_administrator_while_leaving_stays(scene: Scene) {
    if scene.database.backend() == "sqlite" {
        return;
    }
    let (members, mut tenants) = (&scene.stores.members, [scene.tenant, scene.stranger]);
    // In the order in which whoever leaves looks at them.
    tenants.sort_by_key(ToString::to_string);
    let [first, second] = tenants;
    let jo = member(&scene, "jo@example.com", Role::Agent).await;
    let mut others = Vec::new();
    for email in ["ann@example.com", "ben@example.com", "carl@example.com"] {
        others.push(member(&scene, email, Role::Viewer).await.id);
    }
    let [ann, ben, carl] = others.try_into().unwrap();
    for (tenant, user, role) in [
        (first, jo.id, Role::TenantAdmin),
        (first, ann, Role::TenantAdmin),
        (second, jo.id, Role::Agent),
        (second, ben, Role::TenantAdmin),
        (second, carl, Role::Viewer),
    ] {
        members.add(tenant, user, role).await.unwrap();
    }
    let holder = scene.database.reader().begin().await.unwrap();
    let hold = format!("UPDATE tenants SET updated_at = updated_at WHERE id = '{first}'");
    holder.execute_unprepared(&hold).await.unwrap();
    let meanwhile = async {
        let waits = "DO $$ BEGIN ASSERT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted); END $$";
        for look in 0.. {
            if scene.database.reader().execute_unprepared(waits).await.is_ok() {
                break;
            }
            assert!(look < 1_000, "whoever leaves does not wait");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        members.change_role(second, jo.id, Role::TenantAdmin).await.unwrap();
        members.remove(second, ben).await.unwrap();
        holder.commit().await.unwrap();
    };
    let proof = password();
    let (left, ()) = tokio::join!(scene.stores.profiles.leave(jo.id, &proof), meanwhile);
    assert!(matches!(left, Err(StoreError::Conflict { .. })), "{left:?}");
    assert_eq!(members.get(second, jo.id).await.unwrap().membership.role, Role::TenantAdmin);
}
