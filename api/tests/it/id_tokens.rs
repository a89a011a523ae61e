//! What an ID token must be to prove anything: its claims, its signature, and the time of the key that signed it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_sandbox::oidc::Signer;
use postrider_shared::config::Registration;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::api::{answer, problem, shaped};
use crate::identity::text;
use crate::oidc::{Door, GOOGLE, OTHER, nothing, public_key, registering};

#[tokio::test]
async fn tokens_that_are_not_exactly_right_sign_nobody_in() {
    let door = Door::new(Registration::Open).await;
    let jo = door.google("jo@gmail.com");
    door.enters(&jo, &registering()).await;
    let now = door.clock.now().timestamp();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut claims = jo.clone();
        change(&mut claims);
        claims
    };
    let set = |name: &'static str, value: Value| changed(&|claims: &mut Value| claims[name] = value.clone());
    for good in [
        set("exp", json!(now - 59)),
        set("iat", json!(now + 60)),
        set("nbf", json!(now + 60)),
        set("aud", json!(["web.apps.example"])),
        set("aud", json!(["web.apps.example", "elsewhere"])),
        set("name", json!("x".repeat(8_000))),
    ] {
        door.enters(&good, &nothing()).await;
    }
    let mut wrong = vec![
        ("over", set("exp", json!(now - 60))),
        ("long over", set("exp", json!(0))),
        ("over by a trick", set("exp", json!(i64::MIN))),
        ("a time in words", set("exp", json!((now + 60).to_string()))),
        ("not begun", set("nbf", json!(now + 61))),
        ("issued later", set("iat", json!(now + 61))),
        ("issued at the end", set("iat", json!(i64::MAX))),
        ("no issue", set("iat", Value::Null)),
        ("audience", set("aud", json!("elsewhere"))),
        ("no audience", set("aud", json!([]))),
        ("audience in another spelling", set("aud", json!("WEB.apps.example"))),
        ("part of an audience", set("aud", json!("web.apps"))),
        ("issuer", set("iss", json!("https://accounts.google.com/"))),
        ("issuer without TLS", set("iss", json!("http://accounts.google.com"))),
        ("issuer's lookalike", set("iss", json!("https://accounts.google.com.example"))),
        ("the other issuer's audience", set("iss", json!(OTHER))),
        ("nobody", set("sub", json!(""))),
        ("a number", set("sub", json!(7))),
        ("too long a name", set("sub", json!("x".repeat(256)))),
        ("a name of two lines", set("sub", json!("google jo\n@gmail.com"))),
        ("too long a token", set("name", json!("x".repeat(9_000)))),
    ];
    let mut several = set("aud", json!(["web.apps.example", "elsewhere"]));
    several["azp"] = json!("elsewhere");
    wrong.push(("for somebody else", several.clone()));
    several.as_object_mut().unwrap().remove("azp");
    wrong.push(("for nobody knows whom", several));
    let mut otherwise = Vec::new();
    for (what, claims) in wrong {
        let answered: Value = door.sends(&claims, &nothing()).send().await.unwrap().json().await.unwrap();
        // Nothing is told apart.
        if answered["type"] != "/problems/sign-in-refused" || answered["detail"] != answered["title"] {
            otherwise.push((what, answered));
        }
    }
    assert!(otherwise.is_empty(), "{otherwise:#?}");
}

#[tokio::test]
async fn a_subject_is_known_at_its_own_issuer_only() {
    let door = Door::new(Registration::Open).await;
    let jo = door.enters(&door.google("jo@gmail.com"), &registering()).await;
    let mut namesake = door.other("eve@example.org");
    namesake["sub"] = json!("google jo@gmail.com");
    problem(door.sends(&namesake, &nothing()), "not-registered").await;
    let eve = door.enters(&namesake, &registering()).await;
    assert_ne!(eve["user_id"], jo["user_id"]);
    assert_eq!(door.enters(&door.google("jo@gmail.com"), &nothing()).await["user_id"], jo["user_id"]);
}

#[tokio::test]
async fn a_key_of_one_issuer_proves_nothing_of_another() {
    let door = Door::new(Registration::Open).await;
    let jo = door.google("jo@gmail.com");
    door.enters(&jo, &registering()).await;
    let theirs = Signer::new(1);
    let keys = [public_key(&theirs)];
    let (key_sets, now) = (&door.api.app.stores().key_sets, door.clock.now());
    key_sets.fetched(OTHER, now, &keys, Some(Duration::from_hours(1))).await.unwrap();
    problem(door.with(&theirs.token(&jo), &nothing()), "sign-in-refused").await;
    answer(door.with(&theirs.token(&door.other("ann@example.org")), &registering()), StatusCode::OK).await;
}

#[tokio::test]
async fn nonces_are_compared_if_the_client_sent_one() {
    let door = Door::new(Registration::Open).await;
    let mut jo = door.google("jo@gmail.com");
    door.enters(&jo, &registering()).await;
    problem(door.sends(&jo, &json!({ "nonce": "n-1" })), "sign-in-refused").await;
    jo["nonce"] = json!("n-1");
    door.enters(&jo, &json!({ "nonce": "n-1" })).await;
    problem(door.sends(&jo, &json!({ "nonce": "n-2" })), "sign-in-refused").await;
}

#[tokio::test]
async fn forged_tokens_sign_nobody_in() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let door = Door::new(Registration::Open).await;
    let jo = door.google("jo@gmail.com");
    door.enters(&jo, &registering()).await;
    let thief = Signer::new(1);
    let part = |value: &Value| B64.encode(value.to_string());
    let ours = |alg: &str| json!({ "alg": alg, "typ": "JWT", "kid": door.signer.kid() });
    let unsigned = |header: &Value| format!("{}.{}", part(header), part(&jo));
    let hmac = |header: &Value, key: &[u8]| {
        let signed = unsigned(header);
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", B64.encode(mac.finalize().into_bytes()))
    };
    let (n, e) = door.signer.public();
    let jwk = door.signer.jwk().to_string();
    let with = |name: &str, value: Value| {
        let mut header = ours("RS256");
        header[name] = value;
        header
    };
    let good = door.signer.token(&jo);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let mut other_person = jo.clone();
    other_person["sub"] = json!("another");
    let mut kidless = ours("RS256");
    kidless.as_object_mut().unwrap().remove("kid");
    let mut embedded = with("jwk", thief.jwk());
    embedded["jku"] = json!("https://eve.example/keys");
    embedded["x5u"] = json!("https://eve.example/chain");
    embedded["x5c"] = json!(["MIIB"]);
    let forged = [
        ("none", format!("{}.", unsigned(&ours("none")))),
        ("None", format!("{}.", unsigned(&ours("None")))),
        ("no signature", format!("{signed}.")),
        ("two parts", signed.to_owned()),
        ("HS256 with the modulus", hmac(&ours("HS256"), n.as_bytes())),
        ("HS256 with the modulus' bytes", hmac(&ours("HS256"), &B64.decode(&n).unwrap())),
        ("HS256 with the key as JSON", hmac(&ours("HS256"), jwk.as_bytes())),
        ("HS256 with the exponent", hmac(&ours("HS256"), e.as_bytes())),
        ("RS256 by name, HMAC in truth", hmac(&ours("RS256"), n.as_bytes())),
        ("another algorithm's name", door.signer.token_with(&ours("RS512"), &jo)),
        ("PS256", door.signer.token_with(&ours("PS256"), &jo)),
        ("an algorithm in lower case", door.signer.token_with(&ours("rs256"), &jo)),
        ("another key", thief.token_with(&ours("RS256"), &jo)),
        ("a key that it brings along", thief.token_with(&embedded, &jo)),
        ("no key id", door.signer.token_with(&kidless, &jo)),
        ("an empty key id", door.signer.token_with(&with("kid", json!("")), &jo)),
        ("too long a key id", door.signer.token_with(&with("kid", json!("k".repeat(257))), &jo)),
        ("critical extensions", door.signer.token_with(&with("crit", json!(["exp"])), &jo)),
        ("another sort", door.signer.token_with(&with("typ", json!("at+jwt")), &jo)),
        ("a sort of logout", door.signer.token_with(&with("typ", json!("logout+jwt")), &jo)),
        ("other claims", format!("{header}.{}.{signature}", part(&other_person))),
        ("padding", format!("{good}==")),
        ("a fourth part", format!("{good}.x")),
        ("a cut signature", good[..good.len() - 2].to_owned()),
        ("too long", format!("{signed}.{}", "A".repeat(12_288))),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("our own", text(&door.enters(&jo, &nothing()).await, "access_token").to_owned()),
    ];
    for (what, token) in forged {
        let response = door.with(&token, &nothing()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{what}");
        shaped(response, "sign-in-refused").await;
    }
    // What it brings along does no harm either if the right key signed.
    answer(door.with(&door.signer.token_with(&embedded, &jo), &nothing()), StatusCode::OK).await;
    // And an ID token opens nothing by itself.
    problem(door.api.get(&good, "/v1/me"), "unauthenticated").await;
    let twice = format!("{}.{}", part(&ours("RS256")), B64.encode(jo.to_string().replacen('{', r#"{"sub":"x","#, 1)));
    problem(door.with(&format!("{twice}.{signature}"), &nothing()), "sign-in-refused").await;
}

#[tokio::test]
async fn keys_prove_until_their_end_and_not_once_they_were_taken_back() {
    let door = Door::new(Registration::Open).await;
    let start: DateTime<Utc> = door.clock.now();
    door.enters(&door.google("jo@gmail.com"), &registering()).await;
    // The issuer is away: the keys of before are good until their end.
    door.clock.set(start + TimeDelta::minutes(40));
    let key_sets = &door.api.app.stores().key_sets;
    key_sets.failed(GOOGLE, door.clock.now(), "the issuer cannot be reached").await.unwrap();
    door.clock.set(start + TimeDelta::seconds(3_599));
    door.enters(&door.google("jo@gmail.com"), &nothing()).await;
    door.clock.set(start + TimeDelta::hours(1));
    let waiting = problem(door.sends(&door.google("jo@gmail.com"), &nothing()), "issuer-unavailable").await;
    assert_eq!(waiting["status"], 503);
    // A key that is not in the newest set proves nothing, though its time is not over.
    let next = Signer::new(1);
    door.clock.advance(Duration::from_secs(60));
    door.fetched(&next, Duration::from_hours(1)).await;
    let jo = door.google("jo@gmail.com");
    answer(door.with(&next.token(&jo), &nothing()), StatusCode::OK).await;
    problem(door.sends(&jo, &nothing()), "sign-in-refused").await;
    // Bounds of what issuers may say.
    for (said, kept) in [(Duration::ZERO, 600), (Duration::from_secs(700), 700), (Duration::from_hours(9_999), 86_400)]
    {
        door.fetched(&next, said).await;
        let set = key_sets.get(GOOGLE).await.unwrap().unwrap();
        assert_eq!((set.expires_at.unwrap() - set.fetched_at.unwrap()).num_seconds(), kept);
    }
}
