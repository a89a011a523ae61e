//! What issuers of ID tokens say: tokens, as strangers send them, and the documents that a fetch of keys brings.

use std::hint::black_box;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use postrider_api::auth::id_token::{IdToken, Refusal};
use postrider_shared::config::{IssuersConfig, Settings};
use postrider_shared::identities::Proven;
use postrider_shared::key_sets::PublicKey;
use postrider_worker::providers::oidc::answer;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

/// The sandbox's key, which is public and protects nothing.
const KEY: &str = include_str!("../../../sandbox/src/oidc/keys/1.pem");
/// As the seeds name it.
const KID: &str = "key-0";
const HEADER: &str = r#"{"alg":"RS256","typ":"JWT","kid":"key-0"}"#;
const ISSUER: &str = "https://login.example.com";
const NONCE: &str = "n-0S6_WzA2Mj";
/// In the middle of the seeds' times.
const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");

/// What we are, to issuers, and what one of them signs with.
struct World {
    issuers: IssuersConfig,
    pair: RsaKeyPair,
    keys: Vec<PublicKey>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let settings = [
        ("GOOGLE_SIGN_IN_CLIENT_ID", "web, app"),
        ("GOOGLE_SIGN_IN_DISCOVERY_URL", "https://accounts.google.com/.well-known/openid-configuration"),
        ("OIDC_ISSUERS", "https://login.example.com=web"),
    ];
    let pem: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(pem).expect("the key is base64")).expect("the key is PKCS#8");
    let PublicKeyComponents { n, e }: PublicKeyComponents<Vec<u8>> = pair.public().into();
    let key = PublicKey { kid: KID.into(), n: URL_SAFE_NO_PAD.encode(n), e: URL_SAFE_NO_PAD.encode(e) };
    World { issuers: Settings::of(settings).read().expect("the settings are good"), pair, keys: vec![key] }
});

/// A token as it comes; and the claims of one that the issuer signed, after a line with its header if that is another one.
pub(crate) fn id_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(proven(&text, &WORLD.keys).is_err(), "nobody has the issuer's key: it proves nobody");
    let (header, claims) = text.split_once('\n').unwrap_or((HEADER, &text));
    if let Ok(somebody) = proven(&signed(header, claims), &WORLD.keys) {
        assert!(WORLD.issuers.named(&somebody.issuer).is_some(), "an issuer of nobody's");
        assert!((1..=255).contains(&somebody.subject.chars().count()), "a subject that names nobody");
        assert!(somebody.email.is_some() || !somebody.is_authoritative, "no address, and managed");
    }
}

/// A discovery document or a key set; and a token under the keys that are in it.
pub(crate) fn key_set(bytes: &[u8]) {
    let _ = black_box(answer::keys_url(bytes, ISSUER));
    let Ok(keys) = answer::keys(bytes) else { return };
    assert!(!keys.is_empty() && keys.len() <= 64);
    let claims = r#"{"iss":"https://login.example.com","sub":"1","aud":"web","exp":1800000300,"iat":1800000000}"#;
    let token = signed(HEADER, claims);
    let named = keys.into_iter().map(|key| PublicKey { kid: KID.into(), ..key });
    let _ = black_box(proven(&token, &named.collect::<Vec<_>>()));
}

fn signed(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; WORLD.pair.public().modulus_len()];
    WORLD.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("the key signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// What `POST /v1/auth/oidc` does with a token, once the keys are there.
fn proven(text: &str, keys: &[PublicKey]) -> Result<Proven, Refusal> {
    let token = IdToken::read(text)?;
    let _ = black_box(token.issuer(&WORLD.issuers, Some(NONCE), NOW));
    let issuer = token.issuer(&WORLD.issuers, None, NOW)?;
    token.proven(issuer, keys)
}

#[cfg(test)]
mod tests {
    use super::{HEADER, ISSUER, Refusal, WORLD, answer, proven, signed};
    use crate::seeds::home;

    fn seed(path: &str) -> String {
        std::fs::read_to_string(home().join("seeds").join(path)).unwrap()
    }

    #[test]
    fn the_seeds_lead_through_all_of_it() {
        for name in ["google", "firebase", "several-audiences", "header"] {
            let text = seed(&format!("id_token/{name}"));
            let (header, claims) = text.split_once('\n').unwrap_or((HEADER, &text));
            let somebody = proven(&signed(header, claims), &WORLD.keys);
            assert!(somebody.is_ok(), "{name}: {somebody:?}");
        }
        assert_eq!(proven(&seed("id_token/token-of-another-key"), &WORLD.keys), Err(Refusal::Signature));
        assert_eq!(answer::keys(seed("key_set/keys").as_bytes()).unwrap()[0], WORLD.keys[0]);
        assert_eq!(answer::keys(seed("key_set/mixed").as_bytes()).unwrap().len(), 1);
        assert!(answer::keys_url(seed("key_set/discovery").as_bytes(), ISSUER).is_ok());
    }
}
