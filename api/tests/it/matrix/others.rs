//! Every operation on the owner's things, by everybody who has no business with them.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use futures::{StreamExt as _, stream};
use postrider_api::auth::jwt;
use postrider_shared::roles::{Permission, Role};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::people::{Person, Proof, person, removed, signed_in};
use super::recipes::{Subject, expire_key, readable};
use super::tally::{Tally, sent};
use super::{AT_ONCE, by_key, picture, signed, start};
use crate::api::{Api, TenantKeys, answer};
use crate::operations::{Operation, operations};

/// The roles that people and keys have in a tenant.
const IN_TENANTS: [Role; 3] = [Role::Viewer, Role::Agent, Role::TenantAdmin];

/// Everybody who has no business with the owner's things.
struct Others {
    /// Proofs that do not hold: revoked, expired, altered, ended, made up.
    faulty: Vec<(&'static str, Proof)>,
    /// The owner's own people, by role.
    own: Vec<(Role, Person)>,
    foreign: TenantKeys,
    /// People of another tenant only.
    abroad: Vec<(Role, Person)>,
    /// People who worked for the owner.
    gone: Vec<Person>,
    suspended: TenantKeys,
    suspended_people: Vec<Person>,
    /// By operation, the owner's key that may do everything else.
    narrow: BTreeMap<String, String>,
}

impl Others {
    async fn of(api: &Api, owner: &Subject) -> Self {
        let foreign = api.tenant("Foreign").await;
        let suspended = api.tenant("Suspended").await;
        let (mut own, mut abroad, mut gone, mut suspended_people) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for role in IN_TENANTS {
            own.push((role, person(api, Some(&owner.keys.id), role).await));
            abroad.push((role, person(api, Some(&foreign.id), role).await));
            gone.push(removed(api, &owner.keys, role).await);
            suspended_people.push(person(api, Some(&suspended.id), role).await);
        }
        let suspend = api.request(Method::POST, &format!("/v1/tenants/{}/suspend", suspended.id));
        answer(suspend.bearer_auth(&api.platform_key), StatusCode::OK).await;
        let (faulty, mut narrow) = (faulty(api, &owner.keys).await, BTreeMap::new());
        for operation in operations() {
            let key = narrowed(api, &owner.keys, &operation).await;
            narrow.insert(operation.id, key);
        }
        Self { faulty, own, foreign, abroad, gone, suspended, suspended_people, narrow }
    }
}

#[tokio::test]
async fn no_operation_opens_for_anybody_else() {
    let api = start().await;
    let owner = readable(&api, "Canary owner").await;
    let others = Others::of(&api, &owner).await;
    let operations = operations();
    let before = picture(&api, &owner, &operations).await;
    let tallies = stream::iter(&operations).map(|operation| refused(&api, &owner, &others, operation));
    let tallies: Vec<Tally> = tallies.buffer_unordered(AT_ONCE).collect().await;
    let mut tally = Tally::default();
    for one in tallies {
        tally.add(one);
    }
    for (name, now) in picture(&api, &owner, &operations).await {
        if before[&name] != now {
            tally.leak(format!("a stranger changed what {name} shows: {now}"));
        }
    }
    println!("{}", tally.told(operations.len()));
    tally.must_be_clean();
}

/// One operation on the owner's things, by all who may not.
async fn refused(api: &Api, owner: &Subject, others: &Others, operation: &Operation) -> Tally {
    let (mut tally, name, id) = (Tally::default(), operation.name(), &owner.keys.id);
    let call = || operation.call(api, owner);
    tally.must_refuse("nobody", &name, call(), "unauthenticated").await;
    for (what, proof) in &others.faulty {
        tally.must_refuse(what, &name, proof.sign(call()), "unauthenticated").await;
    }
    let suspended = call().bearer_auth(&others.suspended.admin);
    tally.must_refuse("key of a suspended tenant", &name, suspended, "tenant-inactive").await;
    let narrow = call().bearer_auth(&others.narrow[&operation.id]).header("Postrider-Tenant", id);
    tally.must_refuse("scopes without the permission", &name, narrow, "forbidden").await;

    for role in Role::ALL.iter().filter(|role| !operation.permission.roles().contains(role)) {
        let key = signed(&by_key(api, &owner.keys, *role), *role, id, call());
        tally.must_refuse("key of a role without the permission", &name, key, "forbidden").await;
        for proof in others.own.iter().filter(|(own, _)| own == role).flat_map(|(_, person)| person.proofs()) {
            let what = format!("role without the permission, {}", proof.name());
            tally.must_refuse(&what, &name, proof.sign(call()), "forbidden").await;
        }
    }
    if operation.method != Method::GET {
        for (_, person) in &others.own {
            let proof = Proof::CookieFromElsewhere(person.cookie.clone());
            tally.must_refuse(proof.name(), &name, proof.sign(call()), "forbidden").await;
        }
    }
    for role in IN_TENANTS {
        foreign(&mut tally, (owner, operation), role, &by_key(api, &others.foreign, role), call()).await;
    }
    for (role, person) in &others.abroad {
        for proof in own_or_new(api, operation, person).await {
            foreign(&mut tally, (owner, operation), *role, &proof, call()).await;
        }
    }
    for person in &others.gone {
        for proof in own_or_new(api, operation, person).await {
            let what = format!("removed {}", proof.name());
            if operation.is_ones_own() {
                foreign(&mut tally, (owner, operation), Role::Viewer, &proof, call()).await;
                continue;
            }
            tally.must_refuse(&what, &name, proof.sign(call()), "forbidden").await;
            let named = proof.sign(call()).header("Postrider-Tenant", id);
            tally.must_refuse(&format!("{what}, naming the owner"), &name, named, "not-found").await;
        }
    }
    for proof in others.suspended_people.iter().flat_map(Person::proofs).filter(|_| !operation.is_ones_own()) {
        let what = format!("suspended tenant, {}", proof.name());
        tally.must_refuse(&what, &name, proof.sign(call()), "tenant-inactive").await;
    }
    tally
}

/// Somebody's proofs; new ones for an operation that may end their sessions.
async fn own_or_new(api: &Api, operation: &Operation, person: &Person) -> [Proof; 2] {
    if operation.is_ones_own() && operation.method != Method::GET {
        return signed_in(api, person.id, person.email.clone()).await.proofs();
    }
    person.proofs()
}

/// Somebody with a role in another tenant: naming the owner, and by the owner's ids.
async fn foreign(
    tally: &mut Tally,
    (owner, operation): (&Subject, &Operation),
    role: Role,
    proof: &Proof,
    call: RequestBuilder,
) {
    let name = format!("{} as {role}", operation.name());
    let what = format!("foreign {}", proof.name());
    let named = proof.sign(call.try_clone().unwrap()).header("Postrider-Tenant", &owner.keys.id);
    let a_persons_own = operation.is_ones_own() && !matches!(proof, Proof::Key(_));
    if !a_persons_own {
        tally.must_refuse(&format!("{what}, naming the owner"), &name, named, "not-found").await;
    }
    let what = format!("{what}, by the owner's ids");
    tally.count(&what);
    let (status, found) = sent(proof.sign(call)).await;
    tally.must_not_show(&what, &name, &found);
    let expected = match (operation.permission.roles().contains(&role), operation.path.contains("{id}")) {
        (false, _) => status == StatusCode::FORBIDDEN,
        (true, true) => status == StatusCode::NOT_FOUND,
        // Their own list, their own new thing.
        (true, false) => status.is_success() || status.is_client_error(),
    };
    if !expected {
        tally.leak(format!("{name}, {what}: {status} {found}"));
    }
}

/// Proofs of the owner that no longer hold, or never did.
async fn faulty(api: &Api, owner: &TenantKeys) -> Vec<(&'static str, Proof)> {
    let issue = async |more: Value| {
        let mut new = json!({ "name": "shut", "role": "tenant_admin" });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer(api.post(&owner.admin, "/v1/api-keys", &new), StatusCode::CREATED).await
    };
    let text = |key: &Value| key["key"].as_str().unwrap().to_owned();
    let revoked = issue(json!({})).await;
    let path = format!("/v1/api-keys/{}", revoked["id"].as_str().unwrap());
    answer(api.request(Method::DELETE, &path).bearer_auth(&owner.admin), StatusCode::OK).await;
    let expired = issue(json!({ "expires_at": "2999-01-01T00:00:00Z" })).await;
    expire_key(api, expired["id"].as_str().unwrap()).await;
    let altered = |text: &str| {
        let last = if text.ends_with('0') { "1" } else { "0" };
        format!("{}{last}", &text[..text.len() - 1])
    };
    let ended = person(api, Some(&owner.id), Role::TenantAdmin).await;
    answer(api.post(&ended.access, "/v1/auth/logout", &json!({ "all": true })), StatusCode::NO_CONTENT).await;
    let live = person(api, Some(&owner.id), Role::TenantAdmin).await;
    let named = jwt::Named { user: live.id, session: live.session };
    let old = jwt::issue(api.app.keys(), api.app.clock().now() - TimeDelta::minutes(31), named).unwrap();
    // The middle of the code: its last digit holds bits that mean nothing.
    let middle = live.access.len() - 10;
    let other = if live.access[middle..].starts_with('A') { "B" } else { "A" };
    let mut forged = live.access.clone();
    forged.replace_range(middle..=middle, other);
    vec![
        ("revoked key", Proof::Key(text(&revoked))),
        ("expired key", Proof::Key(text(&expired))),
        ("altered key", Proof::Key(altered(&owner.admin))),
        ("empty key", Proof::Key(String::new())),
        ("nonsense key", Proof::Key("pr_x_y".to_owned())),
        ("unknown key", Proof::Key("pr_000000000000_0".to_owned())),
        ("token of an ended session", Proof::Token(ended.access)),
        ("cookie of an ended session", Proof::Cookie(ended.cookie)),
        ("token out of date", Proof::Token(old)),
        ("altered token", Proof::Token(forged)),
        ("refresh token as access token", Proof::Token(live.refresh.clone())),
        ("refresh token as cookie", Proof::Cookie(live.refresh)),
        ("cookie as access token", Proof::Token(live.cookie.clone())),
        ("altered cookie", Proof::Cookie(altered(&live.cookie))),
    ]
}

/// A key of a role that may do the operation, narrowed to everything else.
async fn narrowed(api: &Api, owner: &TenantKeys, operation: &Operation) -> String {
    let role = if operation.is_a_tenants() { Role::TenantAdmin } else { Role::PlatformAdmin };
    let others: Vec<Permission> = role.permissions().iter().filter(|one| *one != operation.permission).collect();
    let request = if operation.is_a_tenants() {
        api.post(&owner.admin, "/v1/api-keys", &json!({ "name": "narrow", "role": role, "scopes": others }))
    } else {
        api.post(&api.platform_key, "/v1/platform/api-keys", &json!({ "name": "narrow", "scopes": others }))
    };
    answer(request, StatusCode::CREATED).await["key"].as_str().unwrap().to_owned()
}
