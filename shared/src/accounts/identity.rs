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

/// Who a correspondent is, for counting: as [`identity_of`], and with every provider without what follows a plus sign, since
/// programs give each of their mails an address of its own.
pub fn correspondent_of(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => match local.split_once('+') {
            Some((name, _)) if !name.is_empty() => identity_of(&format!("{name}@{domain}")),
            _ => identity_of(address),
        },
        None => identity_of(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correspondent_is_known_without_tags() {
        assert_eq!(correspondent_of("Ticket+4711@Help.example"), "ticket@help.example");
        assert_eq!(correspondent_of("+1@help.example"), "+1@help.example");
        assert_eq!(correspondent_of("nobody"), "nobody");
    }

    #[test]
    fn spellings_of_one_mailbox_are_one_identity() {
        assert_eq!(identity_of(" Sales@Example.COM "), "sales@example.com");
        assert_eq!(identity_of("Jo.Hn+quotes@googlemail.com"), "john@gmail.com");
        assert_ne!(identity_of("a.b@example.com"), identity_of("ab@example.com"));
        assert_eq!(identity_of(&format!("{}@example.com", "x".repeat(300))).len(), 64);
    }
}
