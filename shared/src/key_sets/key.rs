use serde::{Deserialize, Serialize};

/// An RSA key that an issuer signs with: RFC 7517's `kid`, `n` and `e`, the numbers as in RFC 7518, in base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    pub kid: String,
    pub n: String,
    pub e: String,
}
