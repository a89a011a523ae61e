//! Sets of sequence numbers or uids: `1,3:5,7:*`.

/// Ranges as sent; `None` is the star.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Set(Vec<(Option<u32>, Option<u32>)>);

impl Set {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| match text {
            "*" => Some(None),
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
            _ => None,
        };
        let range = |text: &str| match text.split_once(':') {
            Some((from, to)) => Some((number(from)?, number(to)?)),
            None => number(text).map(|single| (single, single)),
        };
        text.split(',').map(range).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether `number` is in the set when the star means `last`; so `9:*` always holds the last one.
    pub(super) fn contains(&self, number: u32, last: u32) -> bool {
        self.0.iter().any(|(from, to)| {
            let (from, to) = (from.unwrap_or(last), to.unwrap_or(last));
            (from.min(to)..=from.max(to)).contains(&number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_the_last_one_in_either_order() {
        let set = Set::parse("1,3:4,9:*").unwrap();
        let held: Vec<u32> = (1..=6).filter(|number| set.contains(*number, 6)).collect();
        assert_eq!(held, [1, 3, 4, 6]);
        assert_eq!(Set::parse("1;2"), None);
        assert_eq!(Set::parse(""), None);
    }
}
