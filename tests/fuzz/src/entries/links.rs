//! Words that come back from browsers: the state of a consent, and the token of a quote's page.

use std::hint::black_box;
use std::sync::LazyLock;

use postrider_shared::clock::Clock;
use postrider_shared::google::proven;
use postrider_shared::quotes::DecisionLink;
use postrider_shared::seal::KeyRing;

static KEYS: LazyLock<Option<KeyRing>> =
    LazyLock::new(|| KeyRing::parse("k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").ok());

pub(crate) fn consent_state(bytes: &[u8]) {
    let Some(keys) = &*KEYS else { return };
    let _ = black_box(proven(keys, &String::from_utf8_lossy(bytes)));
}

/// As it comes, and as if we had signed it.
pub(crate) fn decision(bytes: &[u8]) {
    let Some(keys) = &*KEYS else { return };
    let now = Clock::system().now();
    let _ = black_box(DecisionLink::read(keys, &String::from_utf8_lossy(bytes), now));
    if let Ok(signed) = keys.sign("quote decision", bytes) {
        let _ = black_box(DecisionLink::read(keys, &signed, now));
    }
}
