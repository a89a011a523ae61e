//! Closed lists of words (states, roles, kinds of things) that are the same in Rust, in JSON and in the database.

/// The text is none of the words of a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}; expected one of {expected}")]
pub struct UnknownWord {
    pub what: &'static str,
    pub text: String,
    pub expected: String,
}

/// Declares an enum whose variants are words. It gives `as_str`, `ALL`, `Display`, `FromStr`, serde, a database column and an OpenAPI
/// schema, so that the spelling is written once.
macro_rules! words {
    ($(#[$doc:meta])* $what:literal enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
            sea_orm::DeriveValueType,
        )]
        #[sea_orm(value_type = "String")]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All words of the list, in its order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        // Not derived: utoipa does not see a `rename` that comes out of a macro, and would document the variants' names.
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some(concat!("A ", $what, ".")))
                    .enum_values(Some([$($word),*]))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(stringify!($name))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| $crate::words::UnknownWord {
                    what: $what,
                    text: text.chars().take(40).collect(),
                    expected: [$($word),*].join(", "),
                })
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema as _;

    use crate::{accounts::Security, roles::Role};

    #[test]
    fn the_documented_words_are_the_ones_on_the_wire() {
        let schema = serde_json::to_value(Role::schema()).unwrap();
        assert_eq!(schema["enum"], serde_json::to_value(Role::ALL).unwrap());
        let schema = serde_json::to_value(Security::schema()).unwrap();
        assert_eq!(schema["enum"], serde_json::json!(["tls", "starttls", "plain"]));
    }
}
