//! Keys of issuers, and tokens signed with them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

/// Keys that are public and protect nothing: making one takes longer than a test.
const KEYS: [&str; 3] = [include_str!("keys/1.pem"), include_str!("keys/2.pem"), include_str!("keys/3.pem")];

/// Signs tokens with RS256.
#[derive(Debug, Clone)]
pub struct Signer {
    kid: String,
    pair: Arc<RsaKeyPair>,
}

impl Signer {
    /// The key of this number; there are three, over and over. Each number has an id of its own.
    ///
    /// # Panics
    /// Never: the keys are here.
    pub fn new(number: usize) -> Self {
        let pem: String = KEYS[number % KEYS.len()].lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(pem).expect("the key is base64");
        let pair = RsaKeyPair::from_pkcs8(&der).expect("the key is PKCS#8");
        Self { kid: format!("key-{number}"), pair: Arc::new(pair) }
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Modulus and exponent in base64url.
    pub fn public(&self) -> (String, String) {
        let PublicKeyComponents { n, e }: PublicKeyComponents<Vec<u8>> = self.pair.public().into();
        (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e))
    }

    /// As it stands in a key set.
    pub fn jwk(&self) -> Value {
        let (n, e) = self.public();
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": n, "e": e })
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({ "alg": "RS256", "typ": "JWT", "kid": self.kid }), claims)
    }

    /// A token with this header, which may lie.
    ///
    /// # Panics
    /// Never: a modulus is as long as a signature.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .expect("the key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
