//! Links that customers get in mails.

use postrider_shared::quotes::DecisionLink;
use postrider_shared::seal::{KeyRing, SealError};

/// Makes links to the API's public pages.
#[derive(Clone)]
pub struct Links {
    keys: KeyRing,
    /// Without a slash at the end.
    base: String,
}

impl Links {
    pub fn new(keys: KeyRing, base: String) -> Self {
        Self { keys, base }
    }

    /// Where the customer accepts or declines.
    pub fn decision(&self, link: &DecisionLink) -> Result<String, SealError> {
        Ok(format!("{}/q/{}", self.base, link.token(&self.keys)?))
    }
}
