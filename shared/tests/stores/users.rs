//! People and their memberships.

use futures::future::join_all;
use postrider_shared::{
    database::{AllTenants, StoreError},
    ids::{InvitationId, UserId},
    invitations::{Acceptance, NewInvitation},
    roles::Role,
    tenants::TenantSettings,
    users::{Email, User},
};
use secrecy::SecretString;

use crate::scene::{Scene, on_both};

on_both!(
    a_person_works_for_several_tenants,
    the_last_administrator_stays,
    two_administrators_cannot_remove_each_other,
    the_last_who_runs_the_platform_keeps_it,
);

/// A new person of the scene's tenant, as an invitation makes one.
pub async fn person(scene: &Scene, email: &str, role: Role) -> User {
    person_with(scene, email, role, None).await
}

/// One with the password behind this hash.
pub async fn person_with(scene: &Scene, email: &str, role: Role, password_hash: Option<&str>) -> User {
    let new = NewInvitation {
        id: InvitationId::random(),
        email: Email::parse(email).unwrap(),
        role,
        invited_by: "test".to_owned(),
    };
    let invitation = scene.stores.invitations.create(Some(scene.tenant), new).await.unwrap().invitation;
    let token: SecretString = scene.stores.invitations.open(&invitation).unwrap();
    let who = Acceptance { name: Some("Jo".to_owned()), password_hash: password_hash.map(str::to_owned) };
    scene.stores.invitations.accept(&token, who).await.unwrap().unwrap().user
}

async fn a_person_works_for_several_tenants(scene: Scene) {
    let jo = person(&scene, "Jo@Example.com", Role::Agent).await;
    assert_eq!((jo.email.as_str(), jo.password_hash.as_deref()), ("jo@example.com", None));
    let members = &scene.stores.members;
    members.add(scene.stranger, jo.id, Role::Viewer).await.unwrap();
    let memberships = scene.stores.users.memberships(AllTenants, jo.id).await.unwrap();
    let roles: Vec<Role> = memberships.iter().map(|membership| membership.role).collect();
    assert_eq!(roles, [Role::Agent, Role::Viewer]);
    // Being invited again takes nothing away.
    members.add(scene.tenant, jo.id, Role::Viewer).await.unwrap();
    assert_eq!(members.get(scene.tenant, jo.id).await.unwrap().membership.role, Role::Agent);
    members.add(scene.tenant, jo.id, Role::TenantAdmin).await.unwrap();
    assert_eq!(members.get(scene.tenant, jo.id).await.unwrap().membership.role, Role::TenantAdmin);
    let listed = members.list(scene.stranger, None, 50).await.unwrap().items;
    assert_eq!(listed.iter().map(|member| member.user.id).collect::<Vec<_>>(), [jo.id]);
    let third = scene.stores.tenants.create(TenantSettings::named("Third")).await.unwrap().id;
    assert!(matches!(members.get(third, jo.id).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(members.remove(third, jo.id).await, Err(StoreError::NotFound { .. })));
    let platform = members.change_role(scene.stranger, jo.id, Role::PlatformAdmin).await;
    assert!(matches!(platform, Err(StoreError::Invalid { .. })));
    members.remove(scene.stranger, jo.id).await.unwrap();
    assert_eq!(scene.stores.users.memberships(AllTenants, jo.id).await.unwrap().len(), 1);
}

async fn the_last_administrator_stays(scene: Scene) {
    let members = &scene.stores.members;
    let jo = person(&scene, "jo@example.com", Role::TenantAdmin).await.id;
    let ann = person(&scene, "ann@example.com", Role::Agent).await.id;
    let refused = members.remove(scene.tenant, jo).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let refused = members.change_role(scene.tenant, jo, Role::Agent).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    members.change_role(scene.tenant, ann, Role::TenantAdmin).await.unwrap();
    members.change_role(scene.tenant, jo, Role::Agent).await.unwrap();
    assert!(members.remove(scene.tenant, ann).await.is_err());
    members.remove(scene.tenant, jo).await.unwrap();
}

async fn two_administrators_cannot_remove_each_other(scene: Scene) {
    let members = &scene.stores.members;
    for round in 0..5 {
        let jo = person(&scene, &format!("jo{round}@example.com"), Role::TenantAdmin).await.id;
        let others = members.list(scene.tenant, None, 50).await.unwrap().items;
        for other in others.iter().filter(|other| other.user.id != jo) {
            members.remove(scene.tenant, other.user.id).await.unwrap();
        }
        let ann = person(&scene, &format!("ann{round}@example.com"), Role::TenantAdmin).await.id;
        let done = join_all([jo, ann].map(|user| members.remove(scene.tenant, user))).await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
    }
}

async fn the_last_who_runs_the_platform_keeps_it(scene: Scene) {
    let users = &scene.stores.users;
    let jo = person(&scene, "jo@example.com", Role::Viewer).await.id;
    let ann = person(&scene, "ann@example.com", Role::Viewer).await.id;
    assert!(matches!(users.let_run_the_platform(AllTenants, UserId::random()).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(users.no_longer_run_the_platform(AllTenants, jo).await, Err(StoreError::NotFound { .. })));
    for _ in 0..5 {
        for user in [jo, ann, ann] {
            assert!(users.let_run_the_platform(AllTenants, user).await.unwrap().platform_admin);
        }
        assert_eq!(users.who_run_the_platform(AllTenants, None, 10).await.unwrap().items.len(), 2);
        let done = join_all([jo, ann].map(|user| users.no_longer_run_the_platform(AllTenants, user))).await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
        assert_eq!(done.iter().filter(|done| matches!(done, Err(StoreError::Conflict { .. }))).count(), 1, "{done:?}");
    }
}
