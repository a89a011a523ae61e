//! What proves that an answer belongs to a question: the state, and PKCE.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::ids::ConsentId;

/// Longest state worth looking at; ours have some 150 bytes.
const LONGEST_STATE: usize = 1_000;

/// The id with its seal, as one word that fits into a URL.
pub(super) fn state_of(id: ConsentId, sealed: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{id}.{sealed}"))
}

/// The id and the seal of a state; nothing is proven before the seal was opened.
pub(super) fn parse(state: &str) -> Option<(ConsentId, String)> {
    if state.len() > LONGEST_STATE {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(state).ok()?).ok()?;
    let (id, sealed) = text.split_once('.')?;
    Some((id.parse().ok()?, sealed.to_owned()))
}

/// 256 random bits, as a PKCE verifier is written (RFC 7636 §4.1).
pub(super) fn random() -> SecretString {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// The challenge of a verifier (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &SecretString) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{ConsentId, challenge, parse, random, state_of};

    #[test]
    fn a_state_is_read_back_and_rubbish_is_not() {
        let id = ConsentId::random();
        assert_eq!(parse(&state_of(id, "s1:k:AA==")), Some((id, "s1:k:AA==".to_owned())));
        for rubbish in ["", "%%%", "AAAA", &"A".repeat(5_000)] {
            assert_eq!(parse(rubbish), None);
        }
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned().into();
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_ne!(challenge(&random()), challenge(&random()));
    }
}
