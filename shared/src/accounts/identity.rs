//! Who a mailbox is to its provider, so that the same one connected twice shares its limits.

use sha2::{Digest, Sha256};

/// Longest identity kept as it is; a longer one is replaced by its hash, because names of scopes are short.
const LONGEST: usize = 160;

/// The identity behind an address: lower case, and for Gmail without dots and without what follows a plus sign.
pub fn identity_of(address: &str) -> String {
    let address: String = address.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let address = address.to_lowercase();
    let identity = match address.rsplit_once('@') {
        Some((local, "gmail.com" | "googlemail.com")) => {
            let local = local.split('+').next().unwrap_or_default().replace('.', "");
            format!("{local}@gmail.com")
        }
        _ => address,
    };
    if identity.len() > LONGEST {
        return hex::encode(Sha256::digest(identity.as_bytes()));
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_mailbox_are_one_identity() {
        assert_eq!(identity_of(" Sales@Example.COM "), "sales@example.com");
        assert_eq!(identity_of("Jo.Hn+quotes@googlemail.com"), "john@gmail.com");
        assert_ne!(identity_of("a.b@example.com"), identity_of("ab@example.com"));
        assert_eq!(identity_of(&format!("{}@example.com", "x".repeat(300))).len(), 64);
    }
}
