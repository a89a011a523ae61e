//! ID tokens of others (OpenID Connect Core 1.0 §3.1.3.7): who an issuer says that somebody is.
//!
//! RS256 and nothing else. The token names the key, and only by its `kid`, among those that were fetched from its issuer: what it brings
//! along (`jwk`, `jku`, `x5c`, `x5u`) is not looked at, and no key of ours verifies it. Signatures are `ring`'s, which rustls uses
//! already; the rest is what has to be decided here anyway.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::config::{Issuer, IssuersConfig};
use postrider_shared::identities::Proven;
use postrider_shared::key_sets::PublicKey;
use postrider_shared::users::Email;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Bytes of a token. They have one to two thousand, with many groups eight.
pub const LONGEST: usize = 12_288;
/// How far clocks may be apart.
pub const LEEWAY: TimeDelta = TimeDelta::seconds(60);
/// Characters of a `kid`.
const LONGEST_ID: usize = 256;
/// Characters of a `sub` (§2).
const LONGEST_SUBJECT: usize = 255;

/// Why a token says nothing. For the log; whoever sent it hears the same of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is too long")]
    TooLong,
    #[error("it is no signed token")]
    Malformed,
    #[error("it is not signed with RS256, or it is another sort of token")]
    Algorithm,
    #[error("it names no key")]
    NoKey,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is meant for somebody else")]
    Audience,
    #[error("its time is over, or has not come")]
    Time,
    #[error("it has another nonce")]
    Nonce,
    #[error("it names nobody")]
    Subject,
    #[error("no key of its issuer has this id")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// What must be understood, and is not (RFC 7515 §4.1.11).
    crit: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
    email: Option<String>,
    email_verified: Option<Value>,
    name: Option<String>,
    /// Google: the domain of the organisation that manages the account.
    hd: Option<String>,
}

/// A token that was read and is believed nothing yet.
#[derive(Debug)]
pub struct IdToken<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    kid: String,
    claims: Claims,
}

impl<'a> IdToken<'a> {
    /// Reads a token, whatever it says.
    pub fn read(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > LONGEST {
            return Err(Refusal::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let header: Header = decoded(header)?;
        let is_ours = header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT")) && header.crit.is_none();
        if header.alg != "RS256" || !is_ours {
            return Err(Refusal::Algorithm);
        }
        let kid = header.kid.filter(|kid| !kid.is_empty() && kid.chars().count() <= LONGEST_ID);
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::Malformed)?;
        Ok(Self { signed, signature, kid: kid.ok_or(Refusal::NoKey)?, claims: decoded(claims)? })
    }

    /// The id of the key that it says to be signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The issuer it says to be of, if that is one of ours and the rest fits: what is refused here needs no key.
    pub fn issuer<'i>(
        &self,
        issuers: &'i IssuersConfig,
        nonce: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<&'i Issuer, Refusal> {
        let issuer = issuers.spelled(&self.claims.iss).ok_or(Refusal::Issuer)?;
        self.is_for(issuer)?;
        let (Claims { exp, iat, nbf, .. }, now) = (&self.claims, now.timestamp());
        let leeway = LEEWAY.num_seconds();
        let is_over = exp.saturating_add(leeway) <= now;
        let is_early = [Some(*iat), *nbf].into_iter().flatten().any(|from| from.saturating_sub(leeway) > now);
        if is_over || is_early {
            return Err(Refusal::Time);
        }
        if nonce.is_some_and(|nonce| self.claims.nonce.as_deref() != Some(nonce)) {
            return Err(Refusal::Nonce);
        }
        let subject = &self.claims.sub;
        if subject.is_empty() || subject.chars().count() > LONGEST_SUBJECT || subject.chars().any(char::is_control) {
            return Err(Refusal::Subject);
        }
        Ok(issuer)
    }

    fn is_for(&self, issuer: &Issuer) -> Result<(), Refusal> {
        let ours = |audience: &String| issuer.audiences.contains(audience);
        let is_for_us = match &self.claims.aud {
            Audience::One(one) => ours(one),
            // Among several it matters who asked for it.
            Audience::Several(all) if all.len() > 1 => {
                all.iter().any(ours) && self.claims.azp.as_ref().is_some_and(ours)
            }
            Audience::Several(all) => all.iter().any(ours),
        };
        if is_for_us { Ok(()) } else { Err(Refusal::Audience) }
    }

    /// Who it is, if one of these keys of the issuer signed that.
    pub fn proven(self, issuer: &Issuer, keys: &[PublicKey]) -> Result<Proven, Refusal> {
        let mut named = keys.iter().filter(|key| key.kid == self.kid).peekable();
        if named.peek().is_none() {
            return Err(Refusal::UnknownKey);
        }
        if !named.any(|key| is_signed(key, self.signed, &self.signature)) {
            return Err(Refusal::Signature);
        }
        let Claims { sub, email, email_verified, name, hd, .. } = self.claims;
        // Some issuers write it as a text.
        let is_verified = matches!(email_verified, Some(Value::Bool(true)))
            || email_verified.as_ref().and_then(Value::as_str) == Some("true");
        let email = email.filter(|_| is_verified).and_then(|email| Email::parse(&email).ok());
        let is_authoritative = issuer.is_google() && email.as_ref().is_some_and(|email| manages(email, hd.as_deref()));
        Ok(Proven { issuer: issuer.name.clone(), subject: sub, email, is_authoritative, name })
    }
}

/// Whether Google manages this address: it is Gmail's, or of the organisation that the token names. Google verified others once, and
/// does not know whose they are now.
fn manages(email: &Email, hd: Option<&str>) -> bool {
    let domain = email.as_str().rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    domain == "gmail.com" || hd.is_some_and(|hd| !hd.is_empty())
}

fn is_signed(key: &PublicKey, signed: &str, signature: &[u8]) -> bool {
    let (Ok(n), Ok(e)) = (URL_SAFE_NO_PAD.decode(&key.n), URL_SAFE_NO_PAD.decode(&key.e)) else { return false };
    // `ring` takes numbers without leading zeros.
    let bare = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let key = RsaPublicKeyComponents { n: bare(&n), e: bare(&e) };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), signature).is_ok()
}

fn decoded<T: DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Refusal::Malformed)
}
