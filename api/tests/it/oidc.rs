//! Signing in with ID tokens of others. Keys stand in the database as the job leaves them; the fetching is in tests/it/oidc.rs.

use std::time::Duration;

use chrono::DateTime;
use postrider_sandbox::oidc::Signer;
use postrider_shared::clock::Clock;
use postrider_shared::config::Registration;
use postrider_shared::ids::UserId;
use postrider_shared::key_sets::PublicKey;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};
use crate::identity::{PASSWORD, digits, login, member, open, text, token};

pub const GOOGLE: &str = "https://accounts.google.com";
pub const OTHER: &str = "https://securetoken.google.com/shop";
const SETTINGS: [(&str, &str); 2] = [
    ("GOOGLE_SIGN_IN_CLIENT_ID", "web.apps.example, app.apps.example"),
    ("OIDC_ISSUERS", "https://securetoken.google.com/shop=shop"),
];

/// For tests of other things: an issuer, to be set, [`with_keys`].
pub const ISSUER: (&str, &str) = ("OIDC_ISSUERS", "https://login.example.com=shop");

/// The half of a signer's key that its issuer publishes.
pub fn public_key(signer: &Signer) -> PublicKey {
    let (n, e) = signer.public();
    PublicKey { kid: signer.kid().to_owned(), n, e }
}

/// That issuer's keys, for a day.
pub async fn with_keys(api: &Api) {
    let (key_sets, now) = (&api.app.stores().key_sets, api.app.clock().now());
    let keys = [public_key(&Signer::new(0))];
    key_sets.fetched("https://login.example.com", now, &keys, Some(Duration::from_hours(24))).await.unwrap();
}

/// What that issuer says of somebody new.
pub fn a_token() -> String {
    Signer::new(0).token(&somebody())
}

/// The same, said by somebody else.
pub fn a_forged_token() -> String {
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": Signer::new(0).kid() });
    Signer::new(1).token_with(&header, &somebody())
}

fn somebody() -> Value {
    let (now, subject) = (Clock::system().now().timestamp(), UserId::random().to_string());
    json!({
        "iss": "https://login.example.com", "aud": "shop", "sub": subject, "iat": now, "exp": now + 3_600,
        "email": format!("{subject}@example.com"), "email_verified": true,
    })
}

/// An API with the keys of two issuers, and a clock that stands.
pub struct Door {
    pub api: Api,
    pub clock: Clock,
    pub signer: Signer,
}

impl Door {
    pub async fn new(registration: Registration) -> Self {
        let clock = Clock::manual(DateTime::from_timestamp(1_790_000_000, 0).unwrap());
        let api = Api::start_at(&clock, registration, &SETTINGS).await;
        let door = Self { api, clock, signer: Signer::new(0) };
        door.fetched(&door.signer, Duration::from_hours(1)).await;
        door
    }

    /// Both issuers have this key, and no other.
    pub async fn fetched(&self, signer: &Signer, life: Duration) {
        let keys = [public_key(signer)];
        for issuer in [GOOGLE, OTHER] {
            let key_sets = &self.api.app.stores().key_sets;
            key_sets.fetched(issuer, self.clock.now(), &keys, Some(life)).await.unwrap();
        }
    }

    /// What Google says of somebody.
    pub fn google(&self, email: &str) -> Value {
        let now = self.clock.now().timestamp();
        json!({
            "iss": GOOGLE, "aud": "web.apps.example", "azp": "web.apps.example", "sub": format!("google {email}"),
            "iat": now, "exp": now + 3_600, "email": email, "email_verified": true, "name": "Jo",
        })
    }

    /// What the other issuer says, which does not manage addresses.
    pub fn other(&self, email: &str) -> Value {
        let mut claims = self.google(email);
        for (name, value) in [("iss", OTHER), ("aud", "shop"), ("azp", "shop"), ("sub", &format!("other {email}"))] {
            claims[name] = json!(value);
        }
        claims
    }

    pub fn with(&self, token: &str, more: &Value) -> RequestBuilder {
        let mut body = more.clone();
        body["id_token"] = json!(token);
        open(&self.api, "/v1/auth/oidc", &body)
    }

    pub fn sends(&self, claims: &Value, more: &Value) -> RequestBuilder {
        self.with(&self.signer.token(claims), more)
    }

    pub async fn enters(&self, claims: &Value, more: &Value) -> Value {
        answer(self.sends(claims, more), StatusCode::OK).await
    }

    async fn me(&self, signed_in: &Value) -> Value {
        answer(self.api.get(text(signed_in, "access_token"), "/v1/me"), StatusCode::OK).await
    }

    async fn identities(&self, signed_in: &Value) -> Vec<Value> {
        let list = self.api.get(text(signed_in, "access_token"), "/v1/me/identities");
        answer(list, StatusCode::OK).await["items"].as_array().unwrap().clone()
    }

    fn links(&self, signed_in: &Value, claims: &Value) -> RequestBuilder {
        let body = json!({ "id_token": self.signer.token(claims) });
        self.api.post(text(signed_in, "access_token"), "/v1/me/identities", &body)
    }

    fn unlinks(&self, signed_in: &Value, id: &Value) -> RequestBuilder {
        let path = format!("/v1/me/identities/{}", id.as_str().unwrap());
        self.api.request(Method::DELETE, &path).bearer_auth(text(signed_in, "access_token"))
    }
}

pub fn registering() -> Value {
    json!({ "tenant_name": "Jo's plates" })
}

pub fn nothing() -> Value {
    json!({})
}

#[tokio::test]
async fn the_first_sign_in_registers_and_the_next_one_is_the_same_person() {
    let door = Door::new(Registration::Open).await;
    let jo = door.google("jo@gmail.com");
    problem(door.sends(&jo, &nothing()), "not-registered").await;
    let first = door.enters(&jo, &registering()).await;
    let me = door.me(&first).await;
    assert_eq!((&me["role"], &me["user"]["email"]), (&json!("tenant_admin"), &json!("jo@gmail.com")));
    assert_eq!((&me["user"]["name"], &me["user"]["has_password"]), (&json!("Jo"), &json!(false)));
    assert_eq!(me["user"]["memberships"][0]["tenant_name"], "Jo's plates");
    // Another address there, Google's other spelling, an app's token, and the wish to register again: still the same.
    let mut moved = door.google("jo@example.org");
    moved["sub"] = jo["sub"].clone();
    moved["iss"] = json!("accounts.google.com");
    moved["aud"] = json!("app.apps.example");
    moved["email_verified"] = json!(false);
    let again = door.enters(&moved, &registering()).await;
    assert_eq!(again["user_id"], first["user_id"]);
    assert_eq!(door.me(&again).await["user"]["memberships"].as_array().unwrap().len(), 1);
    assert_eq!(door.identities(&again).await[0]["subject"], "google jo@gmail.com");
    // By cookie, as the other ways do.
    let by_cookie = door.sends(&jo, &json!({ "carry": "cookie" }));
    problem(door.sends(&jo, &json!({ "carry": "cookie" })), "forbidden").await;
    let response = by_cookie.header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers()["set-cookie"].to_str().unwrap().contains("HttpOnly"));
    // The only way in stays.
    let identity = door.identities(&first).await[0]["id"].clone();
    problem(door.unlinks(&first, &identity), "state-conflict").await;
}

#[tokio::test]
async fn twenty_first_sign_ins_at_once_make_one_person() {
    let door = Door::new(Registration::Open).await;
    let jo = door.google("jo@gmail.com");
    let all = (0..20).map(|_| async {
        let response = door.sends(&jo, &registering()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.json::<Value>().await.unwrap()["user_id"].clone()
    });
    let people = futures::future::join_all(all).await;
    assert!(people.iter().all(|person| *person == people[0]), "{people:?}");
}

#[tokio::test]
async fn registration_holds_for_people_from_elsewhere() {
    let door = Door::new(Registration::Closed).await;
    problem(door.sends(&door.google("jo@gmail.com"), &registering()), "not-registered").await;
    problem(door.sends(&door.google("jo@gmail.com"), &nothing()), "not-registered").await;

    let door = Door::new(Registration::Approval).await;
    let jo = door.enters(&door.google("jo@gmail.com"), &registering()).await;
    let token = text(&jo, "access_token");
    problem(door.api.get(token, "/v1/jobs"), "tenant-inactive").await;
    let me = answer(door.api.get(token, "/v1/me"), StatusCode::OK).await;
    let tenant = me["user"]["memberships"][0]["tenant_id"].as_str().unwrap().to_owned();
    let approve = door.api.post(&door.api.platform_key, &format!("/v1/tenants/{tenant}/approve"), &nothing());
    answer(approve, StatusCode::OK).await;
    answer(door.api.get(token, "/v1/jobs"), StatusCode::OK).await;
    // Registering takes an address that was verified.
    for change in [json!(false), Value::Null, json!("yes"), json!(1)] {
        let mut claims = door.google("ann@gmail.com");
        claims["email_verified"] = change;
        problem(door.sends(&claims, &registering()), "not-registered").await;
    }
    let mut nobody = door.google("ann@gmail.com");
    nobody.as_object_mut().unwrap().remove("email");
    problem(door.sends(&nobody, &registering()), "not-registered").await;
    let both = json!({ "tenant_name": "x", "invitation_token": "pri_x" });
    problem(door.sends(&door.google("ann@gmail.com"), &both), "invalid-body").await;
}

#[tokio::test]
async fn an_invitation_lets_somebody_in_who_may_not_register() {
    let door = Door::new(Registration::Closed).await;
    let keys = door.api.tenant("Inviting").await;
    let invite = async |email: &str| {
        let body = json!({ "email": email, "role": "agent" });
        let invited = answer(door.api.post(&keys.admin, "/v1/invitations", &body), StatusCode::CREATED).await;
        json!({ "invitation_token": token(&door.api, &keys.id, &invited).await })
    };
    let first = invite("jo@work.example").await;
    problem(door.sends(&door.google("jo@gmail.com"), &json!({ "invitation_token": "pri_wrong" })), "sign-in-refused")
        .await;
    // The mail proves the address, the token who it is: they need not agree.
    let jo = door.enters(&door.google("jo@gmail.com"), &first).await;
    let me = door.me(&jo).await;
    assert_eq!((&me["role"], &me["user"]["email"]), (&json!("agent"), &json!("jo@work.example")));
    problem(door.sends(&door.google("eve@gmail.com"), &first), "sign-in-refused").await;
    // Another business invites the same person; and somebody else who cannot take that.
    let other = door.api.tenant("Another").await;
    let body = json!({ "email": "jo@work.example", "role": "viewer" });
    let invited = answer(door.api.post(&other.admin, "/v1/invitations", &body), StatusCode::CREATED).await;
    let second = json!({ "invitation_token": token(&door.api, &other.id, &invited).await });
    problem(door.sends(&door.google("eve@gmail.com"), &second), "identity-not-linked").await;
    let jo = door.enters(&door.google("jo@gmail.com"), &second).await;
    let memberships =
        answer(door.api.get(text(&jo, "access_token"), "/v1/me").header("Postrider-Tenant", &other.id), StatusCode::OK)
            .await["user"]["memberships"]
            .clone();
    assert_eq!(memberships.as_array().unwrap().len(), 2);
    // Who is known takes no invitation of another address.
    let third = invite("ann@work.example").await;
    problem(door.sends(&door.google("jo@gmail.com"), &third), "sign-in-refused").await;
    door.enters(&door.google("ann@gmail.com"), &third).await;
}

#[tokio::test]
async fn an_account_is_found_by_its_address_only_if_the_issuer_manages_it() {
    let door = Door::new(Registration::Open).await;
    let keys = door.api.tenant("Links").await;
    let gmail = member(&door.api, &keys, "jo@gmail.com", "agent").await;
    let work = member(&door.api, &keys, "ann@work.example", "agent").await;

    // Google manages Gmail's addresses, the other issuer does not, whatever it has verified.
    let mut unverified = door.google("jo@gmail.com");
    unverified["email_verified"] = json!(false);
    problem(door.sends(&unverified, &nothing()), "not-registered").await;
    for more in [nothing(), registering()] {
        problem(door.sends(&door.other("jo@gmail.com"), &more), "identity-not-linked").await;
    }
    let jo = door.enters(&door.google("Jo@Gmail.com"), &nothing()).await;
    assert_eq!(jo["user_id"], gmail["user_id"]);

    // An address of an organisation: only if the token says that it is one of Google's.
    problem(door.sends(&door.google("ann@work.example"), &registering()), "identity-not-linked").await;
    let mut lookalike = door.google("ann@work.example");
    lookalike["iss"] = json!(OTHER);
    lookalike["aud"] = json!("shop");
    lookalike["hd"] = json!("work.example");
    problem(door.sends(&lookalike, &nothing()), "identity-not-linked").await;
    let mut managed = door.google("ann@work.example");
    managed["hd"] = json!("work.example");
    assert_eq!(door.enters(&managed, &nothing()).await["user_id"], work["user_id"]);

    // The way for all others: sign in as before, then link.
    let as_ann = login(&door.api, "ann@work.example").await;
    let mut other = door.other("ann@private.example");
    answer(door.links(&as_ann, &other), StatusCode::CREATED).await;
    answer(door.links(&as_ann, &other), StatusCode::CREATED).await;
    assert_eq!(door.enters(&other, &nothing()).await["user_id"], work["user_id"]);
    problem(door.links(&jo, &other), "already-exists").await;
    let listed = door.identities(&as_ann).await;
    assert_eq!(listed.len(), 2);
    problem(door.unlinks(&jo, &listed[1]["id"]), "not-found").await;
    answer(door.unlinks(&as_ann, &listed[1]["id"]), StatusCode::NO_CONTENT).await;
    problem(door.unlinks(&as_ann, &listed[1]["id"]), "not-found").await;
    problem(door.sends(&other, &nothing()), "not-registered").await;
    // Not with a session that began long ago, which may be stolen.
    let refresh = json!({ "refresh_token": text(&as_ann, "refresh_token") });
    door.clock.advance(Duration::from_mins(16));
    let old = answer(open(&door.api, "/v1/auth/refresh", &refresh), StatusCode::OK).await;
    other = door.other("ann@private.example");
    problem(door.links(&old, &other), "forbidden").await;
}

#[tokio::test]
async fn whoever_registered_first_with_anothers_address_gets_nothing_of_their_account() {
    let door = Door::new(Registration::Open).await;
    // By a password, without the code from the mail.
    let body = json!({ "email": "jo@gmail.com", "name": "Eve", "password": PASSWORD, "tenant_name": "Eve's" });
    let asked = answer(open(&door.api, "/v1/auth/register", &body), StatusCode::ACCEPTED).await;
    let code = digits(&door.api, &asked).await;
    let jo = door.enters(&door.google("jo@gmail.com"), &registering()).await;
    let confirm = json!({ "challenge": asked["challenge"], "code": code });
    problem(open(&door.api, "/v1/auth/register/confirm", &confirm), "already-exists").await;
    let body = json!({ "email": "jo@gmail.com", "password": PASSWORD });
    problem(open(&door.api, "/v1/auth/login", &body), "sign-in-refused").await;
    assert_eq!(door.me(&jo).await["user"]["has_password"], false);

    // By an issuer that verified the address once, or says so: the owner is not put into that account.
    let eve = door.enters(&door.other("ann@gmail.com"), &registering()).await;
    problem(door.sends(&door.google("ann@gmail.com"), &registering()), "identity-not-linked").await;
    let mut second = door.other("eve@gmail.com");
    second["sub"] = json!("eve's other one");
    answer(door.links(&eve, &second), StatusCode::CREATED).await;
    // The owner takes the account back by mail, and Eve is out with all she has linked.
    let ask = json!({ "email": "ann@gmail.com" });
    let asked = answer(open(&door.api, "/v1/auth/password-reset", &ask), StatusCode::ACCEPTED).await;
    let code = digits(&door.api, &asked).await;
    let reset = json!({ "challenge": asked["challenge"], "code": code, "password": PASSWORD });
    answer(open(&door.api, "/v1/auth/password-reset/confirm", &reset), StatusCode::NO_CONTENT).await;
    problem(door.api.get(text(&eve, "access_token"), "/v1/me"), "unauthenticated").await;
    problem(door.sends(&door.other("ann@gmail.com"), &nothing()), "identity-not-linked").await;
    problem(door.sends(&second, &nothing()), "not-registered").await;
    let ann = door.enters(&door.google("ann@gmail.com"), &nothing()).await;
    assert_eq!(ann["user_id"], eve["user_id"]);
}

#[tokio::test]
async fn googles_word_finds_accounts_of_its_own_addresses_only() {
    let door = Door::new(Registration::Open).await;
    let keys = door.api.tenant("Lookalikes").await;
    for address in ["jo@notgmail.com", "jo@gmail.com.example", "jo@mail.gmail.com"] {
        member(&door.api, &keys, address, "agent").await;
        let mut claims = door.google(address);
        problem(door.sends(&claims, &nothing()), "identity-not-linked").await;
        claims["hd"] = json!("");
        problem(door.sends(&claims, &nothing()), "identity-not-linked").await;
    }
    // Some issuers say in words that they have verified an address.
    let mut ann = door.google("ann@gmail.com");
    ann["email_verified"] = json!("true");
    door.enters(&ann, &registering()).await;
}

#[tokio::test]
async fn trying_tokens_is_limited_as_guessing_passwords_is() {
    let clock = Clock::system();
    let settings = [SETTINGS[0], SETTINGS[1], ("RATE_LIMIT_SIGN_IN_ADDRESS", "1/h burst 5")];
    let api = Api::start_at(&clock, Registration::Open, &settings).await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let tried = open(&api, "/v1/auth/oidc", &json!({ "id_token": "a.b.c" })).send().await.unwrap();
        statuses.push(tried.status().as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
}
