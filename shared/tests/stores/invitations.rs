use std::time::Duration;

use futures::future::join_all;
use postrider_shared::{
    database::{AllTenants, StoreError},
    ids::InvitationId,
    invitations::{Acceptance, NewInvitation},
    roles::Role,
    users::Email,
};
use secrecy::ExposeSecret;

use crate::scene::{Scene, on_both};

on_both!(
    an_invitation_is_taken_once,
    a_revoked_or_old_invitation_opens_nothing,
    who_runs_the_platform_is_invited_by_no_tenant,
    an_invitation_is_mailed_once,
    a_repeat_of_the_request_invites_nobody_again,
);

fn new(role: Role) -> NewInvitation {
    NewInvitation {
        id: InvitationId::random(),
        email: Email::parse("jo@example.com").unwrap(),
        role,
        invited_by: "key 1".to_owned(),
    }
}

async fn an_invitation_is_taken_once(scene: Scene) {
    let invitations = &scene.stores.invitations;
    let invited = invitations.create(Some(scene.tenant), new(Role::Agent)).await.unwrap();
    let token = invitations.open(&invited.invitation).unwrap();
    let text = format!("{:?}", invited.invitation);
    assert!(!text.contains(token.expose_secret()), "the token stands in the row: {text}");
    let (found, user) = invitations.look(&token).await.unwrap().unwrap();
    assert_eq!((found.id, user), (invited.invitation.id, None));
    let who = || Acceptance { name: Some("Jo".to_owned()), password_hash: Some("hash".to_owned()) };
    let taken = join_all((0..8).map(|_| invitations.accept(&token, who()))).await;
    let taken: Vec<_> = taken.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].user.name.as_str(), taken[0].user.platform_admin), ("Jo", false));
    assert!(invitations.look(&token).await.unwrap().is_none());
    let refused = invitations.revoke(Some(scene.tenant), invited.invitation.id).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    // Somebody who is a user already keeps name and password.
    let again = invitations.create(Some(scene.stranger), new(Role::Viewer)).await.unwrap();
    let token = invitations.open(&again.invitation).unwrap();
    let other = Acceptance { name: Some("Mallory".to_owned()), password_hash: Some("other".to_owned()) };
    let accepted = invitations.accept(&token, other).await.unwrap().unwrap();
    assert_eq!((accepted.user.name.as_str(), accepted.user.password_hash.as_deref()), ("Jo", Some("hash")));
    assert_eq!(scene.stores.users.memberships(AllTenants, accepted.user.id).await.unwrap().len(), 2);
}

async fn a_revoked_or_old_invitation_opens_nothing(scene: Scene) {
    let invitations = &scene.stores.invitations;
    let revoked = invitations.create(Some(scene.tenant), new(Role::Agent)).await.unwrap().invitation;
    let old = invitations.create(Some(scene.tenant), new(Role::Agent)).await.unwrap().invitation;
    let tokens = [invitations.open(&revoked).unwrap(), invitations.open(&old).unwrap()];
    let foreign = invitations.revoke(Some(scene.stranger), revoked.id).await;
    assert!(matches!(foreign, Err(StoreError::NotFound { .. })));
    invitations.revoke(Some(scene.tenant), revoked.id).await.unwrap();
    assert!(!invitations.mailing(AllTenants, revoked.id).await.unwrap());
    scene.clock.advance(Duration::from_hours(7 * 24));
    for token in tokens {
        assert!(invitations.look(&token).await.unwrap().is_none());
        assert!(invitations.accept(&token, Acceptance::default()).await.unwrap().is_none());
    }
    assert_eq!(invitations.list(Some(scene.tenant), None, 50).await.unwrap().items.len(), 2);
    assert!(invitations.list(Some(scene.stranger), None, 50).await.unwrap().items.is_empty());
}

async fn who_runs_the_platform_is_invited_by_no_tenant(scene: Scene) {
    let invitations = &scene.stores.invitations;
    for (tenant, role) in [(Some(scene.tenant), Role::PlatformAdmin), (None, Role::TenantAdmin)] {
        let refused = invitations.create(tenant, new(role)).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })));
    }
    let invitation = invitations.create(None, new(Role::PlatformAdmin)).await.unwrap().invitation;
    let token = invitations.open(&invitation).unwrap();
    let accepted = invitations.accept(&token, Acceptance::default()).await.unwrap().unwrap();
    assert!(accepted.user.platform_admin);
    assert!(scene.stores.users.get(accepted.user.id).await.unwrap().unwrap().platform_admin);
    assert!(invitations.list(Some(scene.tenant), None, 50).await.unwrap().items.is_empty());
}

async fn an_invitation_is_mailed_once(scene: Scene) {
    let invitations = &scene.stores.invitations;
    let invited = invitations.create(Some(scene.tenant), new(Role::Agent)).await.unwrap().invitation;
    let asked = join_all((0..4).map(|_| invitations.mailing(AllTenants, invited.id))).await;
    assert_eq!(asked.into_iter().filter(|may| *may.as_ref().unwrap()).count(), 1);
    invitations.not_mailed(AllTenants, invited.id).await.unwrap();
    assert!(invitations.mailing(AllTenants, invited.id).await.unwrap());
}

/// The process ended after the commit, and its answer was lost: by then the mail may be read and the invitation accepted.
async fn a_repeat_of_the_request_invites_nobody_again(scene: Scene) {
    let invitations = &scene.stores.invitations;
    let asked = new(Role::Agent);
    let first = invitations.create(Some(scene.tenant), asked.clone()).await.unwrap().invitation;
    let token = invitations.open(&first).unwrap();
    assert!(invitations.mailing(AllTenants, first.id).await.unwrap());

    let again = invitations.create(Some(scene.tenant), asked.clone()).await.unwrap();
    assert!(again.invitation.mailed_at.is_some() && !invitations.mailing(AllTenants, first.id).await.unwrap());
    assert!(invitations.look(&token).await.unwrap().is_some(), "the token that was mailed opens");

    invitations.accept(&token, Acceptance::default()).await.unwrap().unwrap();
    let again = invitations.create(Some(scene.tenant), asked).await.unwrap().invitation;
    assert!(again.accepted_at.is_some(), "it is not open again");
    assert_eq!(invitations.list(Some(scene.tenant), None, 50).await.unwrap().items.len(), 1);
}
