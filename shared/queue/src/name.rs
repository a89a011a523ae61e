//! The short names the engine keeps: kinds, queues, lanes, scopes, tenants.
//!
//! They are checked where they enter, so that no script, key or log line ever meets a malformed one. Kinds and queues
//! are usually constants, and a malformed constant does not compile.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::QueueError;

/// `snake_case` words, joined by dots: `send_email`, `diagnostic.echo`. 1 to 64 bytes.
const fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 64 {
        return false;
    }
    let mut at = 0;
    let mut starts_word = true;
    while at < bytes.len() {
        let byte = bytes[at];
        if starts_word {
            if !byte.is_ascii_lowercase() {
                return false;
            }
            starts_word = false;
        } else if byte == b'.' {
            starts_word = true;
        } else if !(byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            return false;
        }
        at += 1;
    }
    !starts_word
}

/// The same without a colon, which ends it in the names of keys.
fn is_tenant(text: &str) -> bool {
    is_label(text) && !text.contains(':')
}

/// 1 to 200 bytes, no white space and no control characters.
fn is_label(text: &str) -> bool {
    (1..=200).contains(&text.len()) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:path, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            /// Checks a name that is known only at run time.
            pub fn parse(text: impl Into<String>) -> Result<Self, QueueError> {
                let text = text.into();
                if $valid(&text) {
                    Ok(Self(Cow::Owned(text)))
                } else {
                    let shown: String = text.chars().take(40).collect();
                    Err(QueueError::invalid($what, format!("{shown:?} is not {}", $rule)))
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = QueueError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// Stable wire name of a kind of job, such as `send_email`. Never derived from a type's name.
    JobKind, "job kind", is_word, "snake_case words joined by dots, at most 64 bytes"
);
name!(
    /// Name of a queue, such as `email`.
    QueueName, "queue name", is_word, "snake_case words joined by dots, at most 64 bytes"
);
name!(
    /// Name of a lane within a queue and tenant, such as `account:<id>:transactional`.
    LaneName, "lane name", is_label, "1 to 200 bytes without white space"
);
name!(
    /// Name of a scope of limits within a tenant, such as `mailbox:<identity>`.
    ScopeKey, "scope key", is_label, "1 to 200 bytes without white space"
);
name!(
    /// Whose job it is; opaque to the engine. It decides the shard.
    Tenant, "tenant", is_tenant, "1 to 200 bytes without white space or colon"
);

macro_rules! constant {
    ($name:ident) => {
        impl $name {
            /// A name known when the program is written; in a `const`, a malformed one does not compile.
            ///
            /// # Panics
            /// If the name is malformed and this is not evaluated by the compiler.
            pub const fn new(text: &'static str) -> Self {
                assert!(is_word(text), "expected snake_case words joined by dots");
                Self(Cow::Borrowed(text))
            }
        }
    };
}
constant!(JobKind);
constant!(QueueName);

impl LaneName {
    /// The lane of jobs that name none.
    pub const DEFAULT: Self = Self(Cow::Borrowed("default"));
}

impl Default for LaneName {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::{JobKind, LaneName, Tenant};

    #[test]
    fn malformed_names_are_refused() {
        for good in ["a", "send_email", "diagnostic.echo", "a1.b2"] {
            assert!(JobKind::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "A", "send-email", "1a", "a..b", "a b", &"a".repeat(65)] {
            assert!(JobKind::parse(bad).is_err(), "{bad}");
        }
        assert!(LaneName::parse("account:{x}:🦀").is_ok());
        for bad in ["", "a b", "a\n", &"a".repeat(201)] {
            assert!(LaneName::parse(bad).is_err(), "{bad}");
        }
        // `a` and its lane `b:c` would be `a:b` and `c`.
        assert!(Tenant::parse("a-b").is_ok() && Tenant::parse("a:b").is_err());
    }
}
