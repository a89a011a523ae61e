//! People: what is mailed to them, and how they get in with it.

use postrider_tests::canaries::PERSONS_PASSWORD;
use postrider_tests::{Api, DatabaseKind, Platform, eventually};
use serde_json::{Value, json};

on_both_databases!(a_business_registers_invites_and_resets_by_mail);

/// A person with a mailbox in the sandbox.
struct Person<'a> {
    platform: &'a Platform,
    address: &'a str,
}

impl<'a> Person<'a> {
    async fn new(platform: &'a Platform, address: &'a str) -> Self {
        platform.sandbox().client().create_mailbox(address, "x").await.expect("make a mailbox");
        Self { platform, address }
    }

    /// The word that follows `before` in the newest of so many mails.
    async fn reads(&self, mails: usize, before: &str) -> String {
        let client = self.platform.sandbox().client();
        let newest = eventually("the mail", || async {
            let listed = client.messages(self.address).await.ok()?;
            (listed.len() == mails).then(|| listed.last().map(|mail| mail.uid))?
        })
        .await;
        let raw = client.message(self.address, newest).await.expect("read the mail");
        let text = String::from_utf8(raw.to_vec()).expect("ASCII").replace("\r\n", "\n");
        assert!(text.contains("Auto-Submitted:"), "{text}");
        let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no `{before}` in {text}"));
        // A long line goes on after an equals sign.
        rest.split_whitespace().next().unwrap_or_default().trim_end_matches('=').to_owned()
    }

    async fn signs_in(&self, password: &str) -> Api {
        let api = Api::new(self.platform.api_addresses()[0].clone());
        let body = json!({ "email": self.address, "password": password });
        let signed_in = api.post("/v1/auth/login", &body).await.expect_status(200).body;
        api.with_key(word(&signed_in, "access_token"))
    }
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

async fn a_business_registers_invites_and_resets_by_mail(database: DatabaseKind) {
    let platform = Platform::with(database).setting("REGISTRATION", &"open").start().await;
    let stranger = Api::new(platform.api_addresses()[0].clone());
    let jo = Person::new(&platform, "jo@sandbox.example").await;
    let ann = Person::new(&platform, "ann@sandbox.example").await;

    let body = json!({ "email": jo.address, "name": "Jo", "password": PERSONS_PASSWORD, "tenant_name": "Jo's plates" });
    let asked = stranger.post("/v1/auth/register", &body).await.expect_status(202).body;
    let code = jo.reads(1, "registration with this code: ").await;
    let body = json!({ "challenge": asked["challenge"], "code": code });
    let tenant = stranger.post("/v1/auth/register/confirm", &body).await.expect_status(201).body;
    let as_jo = jo.signs_in(PERSONS_PASSWORD).await;
    let me = as_jo.get("/v1/me").await.ok();
    assert_eq!((&me["tenant_id"], &me["role"]), (&tenant["tenant_id"], &json!("tenant_admin")));

    let body = json!({ "email": ann.address, "role": "agent" });
    as_jo.post("/v1/invitations", &body).await.expect_status(201);
    let token = ann.reads(1, "Accept with this token:\n\n").await;
    let body = json!({ "token": token, "name": "Ann" });
    stranger.post("/v1/auth/invitations/accept", &body).await.expect_status(200);
    stranger.post("/v1/auth/invitations/accept", &body).await.problem(401, "sign-in-refused");

    // Ann chose no password, and signs in by code; then she resets to one.
    let asked = stranger.post("/v1/auth/otp", &json!({ "email": ann.address })).await.expect_status(202).body;
    let code = ann.reads(2, "Sign in with this code: ").await;
    let body = json!({ "challenge": asked["challenge"], "code": code });
    let signed_in = stranger.post("/v1/auth/otp/verify", &body).await.expect_status(200).body;
    let as_ann = stranger.with_key(word(&signed_in, "access_token"));
    let echo = json!({ "kind": "diagnostic.echo", "payload": {} });
    as_ann.post("/v1/jobs", &echo).await.expect_status(202);
    as_ann.get("/v1/users").await.problem(403, "forbidden");
    assert_eq!(as_jo.all("/v1/users").await.len(), 2);

    let ask = json!({ "email": ann.address });
    let asked = stranger.post("/v1/auth/password-reset", &ask).await.expect_status(202).body;
    let code = ann.reads(3, "new password with this code: ").await;
    let body = json!({ "challenge": asked["challenge"], "code": code, "password": PERSONS_PASSWORD });
    stranger.post("/v1/auth/password-reset/confirm", &body).await.expect_status(204);
    assert_eq!(ann.reads(4, "The password of your ").await, "account");
    as_ann.get("/v1/me").await.problem(401, "unauthenticated");
    ann.signs_in(PERSONS_PASSWORD).await.get("/v1/jobs").await.ok();

    // Jo moves: the code goes to the new address, word of it to the old one.
    let moved = Person::new(&platform, "jo.moved@sandbox.example").await;
    let body = json!({ "email": moved.address, "password": PERSONS_PASSWORD });
    let asked = as_jo.post("/v1/me/email", &body).await.expect_status(202).body;
    let code = moved.reads(1, "account with this code: ").await;
    let body = json!({ "challenge": asked["challenge"], "code": code });
    as_jo.post("/v1/me/email/confirm", &body).await.expect_status(200);
    assert_eq!(jo.reads(2, "Your account got another ").await, "address");
    let as_jo = moved.signs_in(PERSONS_PASSWORD).await;
    assert_eq!(as_jo.get("/v1/me").await.ok()["user"]["email"], moved.address);
    let ask = json!({ "purpose": "change_email" });
    let asked = as_jo.post("/v1/me/code", &ask).await.expect_status(202).body;
    let code = moved.reads(2, "another address with this code: ").await;
    let back = json!({ "email": ann.address, "challenge": asked["challenge"], "code": code });
    as_jo.post("/v1/me/email", &back).await.expect_status(202);
    assert_eq!(ann.reads(5, "Somebody wanted to make this the ").await, "address");

    // Nobody is mailed who is not there, and whoever is registered learns it from their mailbox only.
    stranger.post("/v1/auth/otp", &json!({ "email": "nobody@sandbox.example" })).await.expect_status(202);
    let body =
        json!({ "email": moved.address, "name": "Mallory", "password": PERSONS_PASSWORD, "tenant_name": "Other" });
    stranger.post("/v1/auth/register", &body).await.expect_status(202);
    assert_eq!(moved.reads(3, "which is registered ").await, "already.");
    // A code for leaving says what it is for.
    let asked = stranger.post("/v1/auth/otp", &json!({ "email": ann.address })).await.expect_status(202).body;
    let code = ann.reads(6, "Sign in with this code: ").await;
    let body = json!({ "challenge": asked["challenge"], "code": code });
    let signed_in = stranger.post("/v1/auth/otp/verify", &body).await.expect_status(200).body;
    let as_ann = stranger.with_key(word(&signed_in, "access_token"));
    as_ann.post("/v1/me/code", &json!({ "purpose": "delete_account" })).await.expect_status(202);
    ann.reads(7, "Delete your account with this code: ").await;
    platform.no_jobs_left().await;
    let accepted = platform.sandbox().client().accepted().await.expect("what was accepted");
    assert_eq!(accepted.len(), 12, "each mail went out once, and none to nobody");
    platform.finish().await;
}
