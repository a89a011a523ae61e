//! Issuers as they are now: what tests ordered of each, its keys, and how often it was called.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Signer;

/// What an issuer answers instead of what it should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The right one.
    #[default]
    Right,
    /// A megabyte.
    Huge,
    /// HTML.
    Wrong,
    /// Another issuer's document, an empty key set.
    Foreign,
}

/// For the next calls of an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trouble {
    /// The key set; else the discovery document.
    pub keys: bool,
    pub status: u16,
    pub body: Body,
    pub delay_ms: u64,
    /// How many calls.
    pub times: u32,
}

impl Default for Trouble {
    fn default() -> Self {
        Self { keys: false, status: 200, body: Body::Right, delay_ms: 0, times: 1 }
    }
}

/// How an issuer is from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orders {
    /// What it calls itself, instead of its URL.
    pub issuer: Option<String>,
    /// Where it says that its keys are, instead of where they are.
    pub jwks_uri: Option<String>,
    /// Seconds in the `Cache-Control` of the key set; nothing without.
    pub max_age: Option<u64>,
    pub troubles: Vec<Trouble>,
}

impl Default for Orders {
    fn default() -> Self {
        Self { issuer: None, jwks_uri: None, max_age: Some(3_600), troubles: Vec::new() }
    }
}

/// How often an issuer was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub discovery: u64,
    pub keys: u64,
}

#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) orders: Orders,
    pub(super) seen: Seen,
    /// The last one signs.
    pub(super) signers: Vec<Signer>,
    /// How many keys there were so far.
    pub(super) made: usize,
}

impl Issuer {
    /// The one named `google` calls itself as Google does.
    fn named(name: &str) -> Self {
        let issuer = (name == "google").then(|| "https://accounts.google.com".to_owned());
        let orders = Orders { issuer, ..Orders::default() };
        Self { orders, seen: Seen::default(), signers: vec![Signer::new(0)], made: 1 }
    }

    /// What goes wrong with this call.
    pub(super) fn trouble(&mut self, keys: bool) -> Trouble {
        let Some(place) = self.orders.troubles.iter().position(|trouble| trouble.keys == keys && trouble.times > 0)
        else {
            return Trouble::default();
        };
        self.orders.troubles[place].times -= 1;
        self.orders.troubles[place].clone()
    }
}

/// All issuers that were ever asked for.
#[derive(Debug, Default)]
pub struct Issuers(Mutex<HashMap<String, Issuer>>);

impl Issuers {
    pub(super) fn with<T>(&self, name: &str, work: impl FnOnce(&mut Issuer) -> T) -> T {
        let mut issuers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(issuers.entry(name.to_owned()).or_insert_with(|| Issuer::named(name)))
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
