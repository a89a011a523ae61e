//! Access tokens: JWT (RFC 7519) with HS256 under a key derived from the ring's, whose id is the token's `kid`, so that keys can be
//! rotated while tokens are out.
//!
//! Written here instead of taken from `jsonwebtoken`: that crate's back ends bring a second TLS library's cryptography or an RSA that
//! leaks by its timing, it asks the machine for the time, and it offers what must never happen, such as choosing the algorithm by
//! the token. One fixed header leaves nothing to choose.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::ids::{SessionId, UserId};
use postrider_shared::seal::{KeyRing, SealError};
use serde::{Deserialize, Serialize};

/// How long an access token is good, if its session lives that long.
pub const VALID: TimeDelta = TimeDelta::minutes(30);

/// How far another process's clock may be ahead: a token that it gave out just now is good here, too.
const LEEWAY: TimeDelta = TimeDelta::minutes(1);

const PURPOSE: &str = "access tokens 1";
const ISSUER: &str = "postrider";
const AUDIENCE: &str = "postrider-api";
const ALGORITHM: &str = "HS256";
/// Longer than any of ours.
const LONGEST: usize = 2_000;

/// The only header there is.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Whom a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The person.
    pub user: UserId,
    /// The session that must be live.
    pub session: SessionId,
}

/// A token that is good from now on.
pub fn issue(keys: &KeyRing, now: DateTime<Utc>, named: Named) -> Result<String, SealError> {
    let kid = keys.signing_key()?;
    let header = Header { alg: ALGORITHM.to_owned(), typ: "JWT".to_owned(), kid: kid.to_owned() };
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: named.user,
        sid: named.session,
        iat: now.timestamp(),
        nbf: now.timestamp(),
        exp: (now + VALID).timestamp(),
    };
    let signed = format!("{}.{}", encoded(&header)?, encoded(&claims)?);
    let mac = keys.mac(kid, PURPOSE, signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)))
}

/// Whom a token names, if it is one of ours and good now. Nothing of it is believed before its code was compared.
pub fn verify(keys: &KeyRing, now: DateTime<Utc>, token: &str) -> Option<Named> {
    if token.len() > LONGEST {
        return None;
    }
    let (signed, mac) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Header = decoded(header)?;
    if header.alg != ALGORITHM || header.typ != "JWT" {
        return None;
    }
    let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
    keys.verify_mac(&header.kid, PURPOSE, signed.as_bytes(), &mac).ok()?;
    let claims: Claims = decoded(claims)?;
    let ours = claims.iss == ISSUER && claims.aud == AUDIENCE;
    let in_time = claims.nbf <= (now + LEEWAY).timestamp() && now.timestamp() < claims.exp;
    (ours && in_time).then_some(Named { user: claims.sub, session: claims.sid })
}

fn encoded(part: &impl Serialize) -> Result<String, SealError> {
    serde_json::to_vec(part).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| SealError::Malformed)
}

fn decoded<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ONE: &str = "one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const TWO: &str = "two:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    fn named() -> Named {
        Named { user: UserId::derived(&["jo"]), session: SessionId::derived(&["one"]) }
    }

    /// A token with these parts, its code right.
    fn forged(keys: &KeyRing, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header).unwrap(), encoded(claims).unwrap());
        let mac = keys.mac(keys.signing_key().unwrap(), PURPOSE, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    fn claims(change: impl FnOnce(&mut Value)) -> Value {
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": named().user, "sid": named().session,
            "iat": now().timestamp(), "nbf": now().timestamp(), "exp": now().timestamp() + 60,
        });
        change(&mut claims);
        claims
    }

    #[test]
    fn a_token_is_good_for_half_an_hour_and_outlives_the_rotation_of_keys() {
        let ring = KeyRing::parse(ONE).unwrap();
        let token = issue(&ring, now(), named()).unwrap();
        assert_eq!(verify(&ring, now(), &token), Some(named()));
        assert_eq!(verify(&ring, now() + TimeDelta::minutes(30), &token), None);
        assert_eq!(verify(&ring, now() - TimeDelta::seconds(60), &token), Some(named()), "where a clock is behind");
        assert_eq!(verify(&ring, now() - TimeDelta::seconds(61), &token), None, "not before");
        let rotated = KeyRing::parse(&format!("{TWO},{ONE}")).unwrap();
        assert_eq!(verify(&rotated, now(), &token), Some(named()));
        assert_eq!(verify(&KeyRing::parse(TWO).unwrap(), now(), &token), None);
    }

    #[test]
    fn what_is_not_exactly_ours_is_refused() {
        let ring = KeyRing::parse(ONE).unwrap();
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": "one" });
        assert!(verify(&ring, now(), &forged(&ring, &header, &claims(|_| ()))).is_some());
        for wrong in [
            json!({ "alg": "none", "typ": "JWT", "kid": "one" }),
            json!({ "alg": "HS512", "typ": "JWT", "kid": "one" }),
            json!({ "alg": "RS256", "typ": "JWT", "kid": "one" }),
            json!({ "alg": "HS256", "typ": "JWT", "kid": "two" }),
            json!({ "alg": "HS256", "typ": "JWT" }),
        ] {
            assert!(verify(&ring, now(), &forged(&ring, &wrong, &claims(|_| ()))).is_none(), "{wrong}");
        }
        let changes: [fn(&mut Value); 6] = [
            |claims| claims["iss"] = json!("elsewhere"),
            |claims| claims["aud"] = json!("another"),
            |claims| claims["exp"] = json!("9999999999"),
            |claims| claims["exp"] = json!(0),
            |claims| claims["sub"] = json!("jo"),
            |claims| claims["sid"] = Value::Null,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert!(verify(&ring, now(), &forged(&ring, &header, &claims(change))).is_none(), "change {number}");
        }
        let token = issue(&ring, now(), named()).unwrap();
        let (signed, _) = token.rsplit_once('.').unwrap();
        for wrong in
            ["", ".", "..", signed, &format!("{signed}."), &format!("{token}."), &token[1..], &token[..token.len() - 1]]
        {
            assert!(verify(&ring, now(), wrong).is_none(), "{wrong}");
        }
    }
}
