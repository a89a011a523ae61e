//! People as callers: somebody with a role in a tenant, signed in by token and by cookie.

use postrider_api::auth::jwt;
use postrider_shared::ids::{InvitationId, SessionId, TenantId, UserId};
use postrider_shared::invitations::{Acceptance, NewInvitation};
use postrider_shared::roles::Role;
use postrider_shared::sessions::Carrier;
use postrider_shared::users::Email;
use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret as _;

use crate::api::{Api, TenantKeys, answer};

/// By what a caller is known.
#[derive(Debug, Clone)]
pub enum Proof {
    /// An API key.
    Key(String),
    /// A person's access token.
    Token(String),
    /// A person's cookie, sent by a page of this site.
    Cookie(String),
    /// The same, sent by a page of another site.
    CookieFromElsewhere(String),
}

impl Proof {
    pub fn sign(&self, call: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Key(text) | Self::Token(text) => call.bearer_auth(text),
            Self::Cookie(text) => with_cookie(call, text, "same-origin"),
            Self::CookieFromElsewhere(text) => with_cookie(call, text, "cross-site"),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Token(_) => "person by token",
            Self::Cookie(_) => "person by cookie",
            Self::CookieFromElsewhere(_) => "cookie sent by another site",
        }
    }
}

fn with_cookie(call: RequestBuilder, cookie: &str, site: &str) -> RequestBuilder {
    call.header("Cookie", format!("__Host-postrider={cookie}")).header("Sec-Fetch-Site", site)
}

/// Somebody who is signed in twice.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: UserId,
    pub email: String,
    /// The session that the token is of.
    pub session: SessionId,
    pub access: String,
    /// Gets the next tokens; opens nothing itself.
    pub refresh: String,
    pub cookie: String,
}

impl Person {
    /// By token and by cookie.
    pub fn proofs(&self) -> [Proof; 2] {
        [Proof::Token(self.access.clone()), Proof::Cookie(self.cookie.clone())]
    }
}

/// Somebody new with this role: in a tenant, or without one to run the platform.
pub async fn person(api: &Api, tenant: Option<&str>, role: Role) -> Person {
    person_with(api, tenant, role, None).await
}

/// One with the password behind this hash.
pub async fn person_with(api: &Api, tenant: Option<&str>, role: Role, password_hash: Option<String>) -> Person {
    let (stores, id) = (api.app.stores(), InvitationId::random());
    let email = format!("{id}@example.com");
    let tenant: Option<TenantId> = tenant.map(|tenant| tenant.parse().unwrap());
    let new = NewInvitation { id, email: Email::parse(&email).unwrap(), role, invited_by: "matrix".to_owned() };
    let invited = stores.invitations.create(tenant, new).await.unwrap();
    let token = stores.invitations.open(&invited.invitation).unwrap();
    let accepted = stores.invitations.accept(&token, Acceptance { name: None, password_hash }).await.unwrap().unwrap();
    signed_in(api, accepted.user.id, email).await
}

/// Signs somebody in, by token and by cookie.
pub async fn signed_in(api: &Api, id: UserId, email: String) -> Person {
    let (sessions, user) = (&api.app.stores().sessions, api.app.stores().users.get(id).await.unwrap().unwrap());
    let tokens = sessions.begin(&user, Carrier::Tokens, "matrix").await.unwrap().unwrap();
    let cookie = sessions.begin(&user, Carrier::Cookie, "matrix").await.unwrap().unwrap();
    let (session, now) = (tokens.session.id, api.app.clock().now());
    let access = jwt::issue(api.app.keys(), now, jwt::Named { user: id, session }).unwrap();
    let (refresh, cookie) = (tokens.token.expose_secret().to_owned(), cookie.token.expose_secret().to_owned());
    Person { id, email, session, access, refresh, cookie }
}

/// Somebody who had this role in the tenant, used it, and was removed.
pub async fn removed(api: &Api, keys: &TenantKeys, role: Role) -> Person {
    let person = person(api, Some(&keys.id), role).await;
    for proof in person.proofs() {
        answer(proof.sign(api.request(reqwest::Method::GET, "/v1/jobs")), StatusCode::OK).await;
    }
    let path = format!("/v1/users/{}", person.id);
    answer(api.request(reqwest::Method::DELETE, &path).bearer_auth(&keys.admin), StatusCode::NO_CONTENT).await;
    person
}
