use std::fmt;

use crate::database::StoreError;

/// RFC 5321: the longest path, without its brackets.
const LONGEST: usize = 254;

/// A person's address as it identifies them: trimmed, in lower case. Two spellings of one mailbox are one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Takes what mail systems take without quoting, which is what people have.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let email = text.trim().to_lowercase();
        let wrong = || StoreError::invalid("email", "must be an e-mail address such as jo@example.com");
        let (local, domain) = email.split_once('@').ok_or_else(wrong)?;
        let dotted = |part: &str| !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
        let in_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        let in_domain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let fits = email.len() <= LONGEST && (1..=64).contains(&local.len()) && !domain.is_empty();
        let formed = dotted(local) && dotted(domain) && local.chars().all(in_local) && domain.chars().all(in_domain);
        if fits && formed { Ok(Self(email)) } else { Err(wrong()) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::Email;

    #[test]
    fn one_mailbox_has_one_spelling() {
        assert_eq!(Email::parse(" Jo.Doe+x@Example.COM ").unwrap().as_str(), "jo.doe+x@example.com");
        for wrong in
            ["", "jo", "@x.y", "jo@", "a b@x.y", "jo@x@y", "jo@x..y", ".jo@x.y", "jo@x.y\r\nBcc: z@x.y", "j\u{fc}@x.y"]
        {
            assert!(Email::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Email::parse(&format!("{}@x.y", "a".repeat(65))).is_err());
    }
}
