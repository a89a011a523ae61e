//! Deleting a business: what goes, what stays, and until when it can be taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use postrider_shared::{
    api_keys::{KeyOwner, NewKey},
    database::{AllTenants, StoreError},
    ids::{ApiKeyId, InvitationId, UserId},
    invitations::{Acceptance, NewInvitation},
    messages::{BeginSending, Fence, Slot},
    roles::Role,
    sessions::Carrier,
    tenants::{BeginDeletion, ERASED, KEPT, TenantState},
    users::Email,
};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::{
    scene::{Scene, on_both},
    users::person,
};

on_both!(
    every_table_of_tenants_is_decided_on,
    a_deleted_tenant_leaves_no_row_and_others_keep_all,
    a_deletion_is_confirmed_waits_and_can_be_taken_back,
    a_message_on_its_way_is_not_sent_once_its_tenant_is_to_go,
);

/// Tables that have a tenant's column.
async fn tables(scene: &Scene) -> BTreeSet<String> {
    let backend = scene.database.reader().get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT table_name::text AS name FROM information_schema.columns
             WHERE table_schema = 'public' AND column_name = 'tenant_id'"
        }
        _ => {
            "SELECT m.name AS name FROM sqlite_master m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.name = 'tenant_id'"
        }
    };
    let rows = scene.database.reader().query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

async fn every_table_of_tenants_is_decided_on(scene: Scene) {
    let decided: BTreeSet<String> = ERASED.iter().chain(&KEPT).map(ToString::to_string).collect();
    assert_eq!(
        decided,
        tables(&scene).await,
        "say in shared/src/tenants/deletion.rs what becomes of a deleted tenant's rows"
    );
}

/// How many rows of a tenant each table has.
async fn rows(scene: &Scene) -> BTreeMap<String, i64> {
    let (mut many, backend) = (BTreeMap::new(), scene.database.reader().get_database_backend());
    for table in tables(scene).await {
        let sql = format!("SELECT COUNT(*) AS many FROM {table} WHERE tenant_id = $1");
        let count = Statement::from_sql_and_values(backend, sql, [scene.tenant.0.into()]);
        let row = scene.database.reader().query_one_raw(count).await.unwrap().unwrap();
        many.insert(table, row.try_get("", "many").unwrap());
    }
    many
}

/// A bit of everything.
async fn fill(scene: &Scene, name: &str) {
    let account = scene.account().await;
    for uid in 1..=3 {
        let mail = scene.mail(&account, uid).await;
        scene.draft(&mail).await;
    }
    person(scene, &format!("{name}@example.com"), Role::TenantAdmin).await;
    let key = NewKey { name: name.to_owned(), role: Role::Viewer, scopes: None, expires_at: None };
    scene.stores.api_keys.issue(KeyOwner::Tenant(scene.tenant), ApiKeyId::random(), key).await.unwrap();
    crate::dead_letters::many(scene, 2, name).await;
}

/// Histories of dead letters, which are known by their letters only.
async fn histories(scene: &Scene) -> i64 {
    let backend = scene.database.reader().get_database_backend();
    let sql = Statement::from_string(backend, "SELECT COUNT(*) AS many FROM dead_letter_histories");
    scene.database.reader().query_one_raw(sql).await.unwrap().unwrap().try_get("", "many").unwrap()
}

/// Somebody who runs the platform.
async fn operator(scene: &Scene) -> UserId {
    let new = NewInvitation {
        id: InvitationId::random(),
        email: Email::parse("operator@example.com").unwrap(),
        role: Role::PlatformAdmin,
        invited_by: "test".to_owned(),
    };
    let invitation = scene.stores.invitations.create(None, new).await.unwrap().invitation;
    let token = scene.stores.invitations.open(&invitation).unwrap();
    let who = Acceptance { name: Some("Jo".to_owned()), password_hash: None };
    scene.stores.invitations.accept(&token, who).await.unwrap().unwrap().user.id
}

async fn erased(scene: &Scene) -> u64 {
    let mut all = 0;
    loop {
        match scene.stores.tenants.erase_some(scene.tenant).await.unwrap() {
            0 => return all,
            some => all += some,
        }
    }
}

async fn a_deleted_tenant_leaves_no_row_and_others_keep_all(mut scene: Scene) {
    std::mem::swap(&mut scene.tenant, &mut scene.stranger);
    fill(&scene, "theirs").await;
    let theirs = rows(&scene).await;
    std::mem::swap(&mut scene.tenant, &mut scene.stranger);
    fill(&scene, "ours").await;
    // One works for both, one runs the platform, too, one works for nobody else.
    let operator = operator(&scene).await;
    scene.stores.members.add(scene.tenant, operator, Role::Agent).await.unwrap();
    let both = person(&scene, "both@example.com", Role::Agent).await;
    scene.stores.members.add(scene.stranger, both.id, Role::Agent).await.unwrap();
    let only = person(&scene, "only@example.com", Role::Agent).await;
    scene.stores.sessions.begin(&only, Carrier::Tokens, "test").await.unwrap().unwrap();
    assert!(rows(&scene).await.values().filter(|many| **many > 0).count() >= 10);
    assert_eq!(histories(&scene).await, 4);

    let tenants = &scene.stores.tenants;
    assert!(matches!(tenants.erase_some(scene.tenant).await, Err(StoreError::Conflict { .. })), "nobody asked for it");
    tenants.move_on(scene.tenant, TenantState::Active, TenantState::Suspended).await.unwrap();
    let due = tenants.ask_deletion(scene.tenant, "Ours", TimeDelta::zero()).await.unwrap().tenant.delete_after.unwrap();
    assert_eq!(tenants.begin_deletion(scene.tenant, due).await.unwrap(), BeginDeletion::Go);
    assert_eq!(
        tenants.begin_deletion(scene.tenant, due).await.unwrap(),
        BeginDeletion::Go,
        "whoever was cut off goes on"
    );
    assert!(matches!(tenants.restore(scene.tenant).await, Err(StoreError::Conflict { .. })), "too late");
    assert!(erased(&scene).await > 10);
    let left: Vec<(String, i64)> = rows(&scene).await.into_iter().filter(|(_, many)| *many > 0).collect();
    assert!(left.iter().all(|(table, _)| KEPT.contains(&table.as_str())), "{left:?}");
    tenants.finish_deletion(scene.tenant).await.unwrap();
    assert!(matches!(tenants.get(scene.tenant).await, Err(StoreError::NotFound { .. })));
    assert_eq!(tenants.begin_deletion(scene.tenant, due).await.unwrap(), BeginDeletion::No);

    assert!(scene.stores.users.get(only.id).await.unwrap().is_none(), "whoever worked for nobody else goes, too");
    assert!(scene.stores.users.get(both.id).await.unwrap().is_some());
    assert!(scene.stores.users.get(operator).await.unwrap().is_some());
    assert_eq!(histories(&scene).await, 2, "those of the other's letters");
    std::mem::swap(&mut scene.tenant, &mut scene.stranger);
    let mut now = rows(&scene).await;
    *now.get_mut("memberships").unwrap() -= 1; // the one who works for both
    assert_eq!(now, theirs);
}

async fn a_deletion_is_confirmed_waits_and_can_be_taken_back(scene: Scene) {
    let (tenants, id, day) = (&scene.stores.tenants, scene.tenant, TimeDelta::days(1));
    let (_, message) = crate::messages::planned(&scene).await;
    let asked = tenants.ask_deletion(id, "Ours", day).await;
    assert!(matches!(asked, Err(StoreError::Conflict { .. })), "it is active");
    tenants.move_on(id, TenantState::Active, TenantState::Suspended).await.unwrap();
    for wrong in ["", "ours", "Stranger"] {
        assert!(matches!(tenants.ask_deletion(id, wrong, day).await, Err(StoreError::Invalid { .. })), "{wrong}");
    }
    let first = tenants.ask_deletion(id, "Ours", day).await.unwrap();
    let due = first.tenant.delete_after.unwrap();
    assert_eq!((first.tenant.state, due), (TenantState::Deleting, scene.now() + day));
    assert!(matches!(tenants.ask_deletion(id, "Ours", day).await, Err(StoreError::Conflict { .. })), "it is asked for");
    assert_eq!(scene.stores.outbox.waiting(AllTenants, 50).await.unwrap().last().unwrap().id, first.entry);
    // Nothing is sent from here on, although nothing is gone.
    let sending = scene.stores.messages.begin_sending(id, message, Slot::default()).await;
    assert!(matches!(sending, Err(StoreError::Conflict { .. })), "{sending:?}");
    assert_eq!(tenants.begin_deletion(id, due).await.unwrap(), BeginDeletion::NotBefore(due));
    assert_eq!(tenants.restore(id).await.unwrap().state, TenantState::Suspended);
    assert!(matches!(tenants.restore(id).await, Err(StoreError::Conflict { .. })));

    // The job of a deletion that was taken back deletes nothing, not even after the next one was asked for.
    scene.clock.advance(Duration::from_hours(48));
    assert_eq!(tenants.begin_deletion(id, due).await.unwrap(), BeginDeletion::No);
    let second = tenants.ask_deletion(id, "Ours", day).await.unwrap().tenant.delete_after.unwrap();
    assert_eq!(tenants.begin_deletion(id, due).await.unwrap(), BeginDeletion::No);
    scene.clock.advance(Duration::from_hours(24));
    assert_eq!(tenants.begin_deletion(id, second).await.unwrap(), BeginDeletion::Go);
}

async fn a_message_on_its_way_is_not_sent_once_its_tenant_is_to_go(scene: Scene) {
    let (tenants, messages, id) = (&scene.stores.tenants, &scene.stores.messages, scene.tenant);
    let (_, message) = crate::messages::planned(&scene).await;
    let begun = messages.begin_sending(id, message, Slot::default()).await.unwrap();
    let BeginSending::Go { attempt, .. } = begun else { panic!("{begun:?}") };
    tenants.move_on(id, TenantState::Active, TenantState::Suspended).await.unwrap();
    tenants.ask_deletion(id, "Ours", TimeDelta::days(1)).await.unwrap();
    let data = messages.data_starting(id, message, attempt).await;
    assert!(matches!(data, Err(StoreError::Conflict { .. })), "{data:?}");
    tenants.restore(id).await.unwrap();
    assert!(matches!(messages.data_starting(id, message, attempt).await.unwrap(), Fence::Open));
}
