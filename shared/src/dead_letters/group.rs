//! Which dead letters died of the same thing.

use sha2::{Digest, Sha256};

/// So much of an error tells what it is; what follows is detail.
const SIGNIFICANT: usize = 500;

/// The error without what differs from case to case: addresses, ids and numbers become signs.
///
/// Every run of letters, digits, `_` and `-` that has a digit in it is an id or a number, and `#`; what has an `@` in it is an
/// address. Signs that follow each other at once are one, so that `10.0.0.1:5432` is `#`.
pub(super) fn normalised(error: &str) -> String {
    let words =
        error.split_whitespace().map(|word| if word.contains('@') { "<address>".to_owned() } else { plain(word) });
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().take(SIGNIFICANT).collect()
}

fn plain(word: &str) -> String {
    let (mut out, mut run) = (String::with_capacity(word.len()), String::new());
    for char in word.chars().chain(['\0']) {
        if char.is_alphanumeric() || char == '_' || char == '-' {
            run.push(char);
            continue;
        }
        if run.chars().any(char::is_numeric) {
            let trimmed = out.trim_end_matches(['.', ':', '/']);
            if trimmed.ends_with('#') {
                out.truncate(trimmed.len());
            } else {
                out.push('#');
            }
        } else {
            out.push_str(&run);
        }
        run.clear();
        if char != '\0' {
            out.push(char);
        }
    }
    out
}

/// Stable name of the group: 16 hexadecimal digits out of kind and normalised error.
pub(super) fn fingerprint(kind: &str, error: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(normalised(error).as_bytes());
    hash.finalize()[..8].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::{fingerprint, normalised};

    #[test]
    fn what_differs_from_case_to_case_is_left_out() {
        for (error, wanted) in [
            ("no answer from 10.0.0.1:5432 after 30 s", "no answer from # after # s"),
            ("no answer from 192.168.1.77:25  after 5 s", "no answer from # after # s"),
            ("job_000G40R40M30E209185GR38E1W is stale", "# is stale"),
            ("quote 018f3c1e-7b2a-7000-8000-0123456789ab: no price", "quote #: no price"),
            ("550 <anna@example.com> unknown", "# <address> unknown"),
            ("it rains", "it rains"),
            ("", ""),
        ] {
            assert_eq!(normalised(error), wanted, "{error}");
        }
        assert_eq!(fingerprint("a", "try 1"), fingerprint("a", "try 22"));
        assert_ne!(fingerprint("a", "try 1"), fingerprint("b", "try 1"));
        assert_ne!(fingerprint("a", "it rains"), fingerprint("a", "it snows"));
        assert_eq!(fingerprint("a", "x").len(), 16);
        assert!(normalised(&"long ".repeat(1000)).len() <= 500);
    }
}
