//! Reading what issuers answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postrider_shared::key_sets::PublicKey;
use reqwest::Url;
use reqwest::header::{AGE, CACHE_CONTROL, HeaderMap};
use serde::Deserialize;

use super::OidcError;

/// More than any issuer has at a time.
const MOST: usize = 64;
/// Bytes of the modulus: RFC 7518 asks for 2048 bits; more than 8192 cost more than they give.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Characters of a key's id.
const LONGEST_ID: usize = 256;

#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

#[derive(Debug, Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Key {
    kty: String,
    kid: String,
    n: String,
    e: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    #[serde(rename = "key_ops")]
    operations: Option<Vec<String>>,
}

/// Where the keys are, if the document is this issuer's.
pub fn keys_url(body: &[u8], issuer: &str) -> Result<Url, OidcError> {
    let document: Document =
        serde_json::from_slice(body).map_err(|_| OidcError::Malformed { detail: "no usable discovery document" })?;
    if document.issuer != issuer {
        return Err(OidcError::AnotherIssuer);
    }
    Url::parse(&document.jwks_uri).map_err(|_| OidcError::Malformed { detail: "jwks_uri is no URL" })
}

/// The keys that sign with RS256; others stand in the same sets and are passed over.
pub fn keys(body: &[u8]) -> Result<Vec<PublicKey>, OidcError> {
    let set: Set = serde_json::from_slice(body).map_err(|_| OidcError::Malformed { detail: "no JSON Web Key Set" })?;
    if set.keys.len() > MOST {
        return Err(OidcError::Malformed { detail: "it has too many keys" });
    }
    let keys: Vec<PublicKey> =
        set.keys.into_iter().filter_map(|key| usable(serde_json::from_value(key).ok()?)).collect();
    if keys.is_empty() {
        return Err(OidcError::Malformed { detail: "it has no key for RS256" });
    }
    Ok(keys)
}

fn usable(key: Key) -> Option<PublicKey> {
    let signs = key.usage.is_none_or(|usage| usage == "sig")
        && key.alg.is_none_or(|alg| alg == "RS256")
        && key.operations.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    let is_named = !key.kid.is_empty() && key.kid.chars().count() <= LONGEST_ID;
    let modulus = URL_SAFE_NO_PAD.decode(&key.n).ok()?;
    let exponent = URL_SAFE_NO_PAD.decode(&key.e).ok()?;
    let fits = MODULUS.contains(&modulus.len()) && (1..=4).contains(&exponent.len()) && exponent != [1];
    (key.kty == "RSA" && signs && is_named && fits).then_some(PublicKey { kid: key.kid, n: key.n, e: key.e })
}

/// For how long the answer may be kept (RFC 9111): what is left of `max-age`, and none at all of what must not be.
pub(super) fn life(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<String> =
        directives.flat_map(|value| value.split(',')).map(|one| one.trim().to_ascii_lowercase()).collect();
    if directives.iter().any(|one| one == "no-store" || one == "no-cache") {
        return Some(Duration::ZERO);
    }
    let most = directives.iter().find_map(|one| one.strip_prefix("max-age=")?.trim_matches('"').parse::<u64>().ok())?;
    let age = headers.get(AGE).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok()).unwrap_or_default();
    Some(Duration::from_secs(most.saturating_sub(age)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{AGE, CACHE_CONTROL, HeaderMap, HeaderValue};
    use serde_json::{Value, json};

    use super::{OidcError, keys, keys_url, life};

    fn rsa(kid: &str, change: impl FnOnce(&mut Value)) -> Value {
        // 256 bytes.
        let mut key =
            json!({ "kty": "RSA", "kid": kid, "n": "w".repeat(341) + "Q", "e": "AQAB", "alg": "RS256", "use": "sig" });
        change(&mut key);
        key
    }

    #[test]
    fn a_set_gives_its_keys_for_rs256_and_no_others() {
        let set = json!({ "keys": [
            rsa("good", |_| ()),
            rsa("bare", |key| { key.as_object_mut().unwrap().retain(|name, _| ["kty", "kid", "n", "e"].contains(&name.as_str())); }),
            rsa("encrypts", |key| key["use"] = json!("enc")),
            rsa("another algorithm", |key| key["alg"] = json!("PS256")),
            rsa("a secret", |key| key["kty"] = json!("oct")),
            rsa("short", |key| key["n"] = json!("w".repeat(170))),
            rsa("no power", |key| key["e"] = json!("AQ")),
            rsa("signs only", |key| key["key_ops"] = json!(["sign"])),
            rsa("", |_| ()),
            rsa("x", |key| key["kid"] = Value::Null),
            json!("no key"),
        ] });
        let found = keys(set.to_string().as_bytes()).unwrap();
        assert_eq!(found.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>(), ["good", "bare"]);
        for wrong in ["", "[]", "{}", r#"{"keys":[]}"#, r#"{"keys":[{}]}"#, "<html>"] {
            assert!(matches!(keys(wrong.as_bytes()), Err(OidcError::Malformed { .. })), "{wrong}");
        }
        let many = json!({ "keys": (0..65).map(|_| rsa("one", |_| ())).collect::<Vec<_>>() });
        assert!(keys(many.to_string().as_bytes()).is_err());
    }

    #[test]
    fn a_document_of_another_issuer_is_refused() {
        let document = br#"{"issuer":"https://a.example","jwks_uri":"https://a.example/keys"}"#;
        assert_eq!(keys_url(document, "https://a.example").unwrap().path(), "/keys");
        assert_eq!(keys_url(document, "https://a.example/"), Err(OidcError::AnotherIssuer));
        assert!(keys_url(br#"{"issuer":"https://a.example","jwks_uri":"/keys"}"#, "https://a.example").is_err());
    }

    #[test]
    fn what_is_left_of_max_age_counts() {
        let of = |cache: &'static str, age: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
            age.map(|age| headers.insert(AGE, HeaderValue::from_static(age)));
            life(&headers).map(|life| life.as_secs())
        };
        assert_eq!(of("public, max-age=24093, must-revalidate, no-transform", None), Some(24_093));
        assert_eq!(of("Max-Age=100", Some("30")), Some(70));
        assert_eq!(of("max-age=100", Some("300")), Some(0));
        assert_eq!(of("no-store, max-age=100", None), Some(0));
        assert_eq!(of("public", None), None);
        assert_eq!(of("max-age=soon", None), None);
        assert_eq!(life(&HeaderMap::new()), None::<Duration>);
    }
}
