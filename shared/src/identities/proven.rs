use crate::users::Email;

/// What a verified ID token says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The issuer's name in the settings.
    pub issuer: String,
    /// Who it is there, for good.
    pub subject: String,
    /// The address, if the issuer says that it was verified.
    pub email: Option<Email>,
    /// Whether the issuer manages that address, so that nobody else can have it now.
    pub is_authoritative: bool,
    pub name: Option<String>,
}
