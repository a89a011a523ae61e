//! Names of variables that nobody reads and that look like one that somebody does: a letter too few, and a setting keeps its
//! default unnoticed.

use super::VARIABLES;

/// Who names a setting as belonging to this program means it, too.
const PREFIX: &str = "POSTRIDER_";

/// The variable that is meant by this name, if that may be told. Of those that are set themselves none is: then this one may be
/// some other program's.
pub(super) fn meant_by(name: &str, is_set: impl Fn(&str) -> bool) -> Option<String> {
    let name = name.to_ascii_uppercase();
    let short = name.strip_prefix(PREFIX);
    let names = VARIABLES.iter().filter(|variable| !is_set(variable.name)).flat_map(|variable| {
        let of_file = variable.secret.then(|| format!("{}_FILE", variable.name));
        [Some(variable.name.to_owned()), of_file].into_iter().flatten()
    });
    let distances = names.filter_map(|known| {
        let distance = if short == Some(&known) { 0 } else { distance(name.as_bytes(), known.as_bytes()) };
        (distance <= slips_in(&known)).then_some((distance, known))
    });
    distances.min().map(|(_, known)| known)
}

/// So many slips of the finger are believed in a name: a short one is soon another word.
fn slips_in(name: &str) -> usize {
    match name.len() {
        0..=5 => 0,
        6..=9 => 1,
        _ => 2,
    }
}

/// How many letters are missing, too many, wrong, or have changed places with their neighbours.
fn distance(one: &[u8], other: &[u8]) -> usize {
    if one.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let wrong = usize::from(one[i - 1] != other[j - 1]);
            let mut fewest = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + wrong);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                fewest = fewest.min(before_last[j - 2] + 1);
            }
            row.push(fewest);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::meant_by;

    #[test]
    fn slips_of_the_finger_are_understood_and_other_programs_left_alone() {
        for (name, meant) in [
            ("QUEUE_SHARD", "QUEUE_SHARDS"),
            ("redis_urls", "REDIS_URL"),
            ("REDIS_URI", "REDIS_URL"),
            ("REDSI_URL", "REDIS_URL"),
            ("SECRETKEYS", "SECRET_KEYS"),
            ("SECRETS_KEY_FILE", "SECRET_KEYS_FILE"),
            ("POSTRIDER_QUEUE_SHARDS", "QUEUE_SHARDS"),
            ("POSTRIDER_BIND", "BIND"),
        ] {
            assert_eq!(meant_by(name, |_| false).as_deref(), Some(meant), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "USER",
            "MAIL",
            "LANG",
            "TERM",
            "PWD",
            "TZ",
            "HOSTNAME",
            "KIND",
            "BINDS",
            "RUST_BACKTRACE",
            "RUST_LOG_STYLE",
            "REDIS_PORT",
            "REDIS_HOST",
            "REDIS_SERVICE_HOST",
            "REDIS_PORT_6379_TCP",
            "DATABASE_HOST",
            "SENTRY_ENVIRONMENT",
            "HTTP_PROXY",
            "OPENAI_ORG_ID",
            "POSTRIDER_BIN_DIR",
            "POSTRIDER_TEST_LOG",
            "LOG_LEVEL",
            "INVOCATION_ID",
            "JOURNAL_STREAM",
            "",
        ] {
            assert_eq!(meant_by(name, |_| false), None, "{name}");
        }
        assert_eq!(
            meant_by("REDIS_URI", |name| name == "REDIS_URL"),
            None,
            "who has set the right one means another program"
        );
    }
}
