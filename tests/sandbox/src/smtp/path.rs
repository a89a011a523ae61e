//! `MAIL FROM:<…> PARAMETERS` and `RCPT TO:<…> PARAMETERS`.

/// The address without brackets and source route, and the parameters.
pub(super) fn parse(rest: &str, keyword: &str) -> Option<(String, Vec<String>)> {
    let head = rest.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest[keyword.len()..].trim_start();
    let (address, parameters) = match rest.strip_prefix('<') {
        Some(bracketed) => bracketed.split_once('>')?,
        None => rest.split_once(' ').unwrap_or((rest, "")),
    };
    // A source route (`@relay:user@host`) is obsolete and ignored.
    let address =
        address.strip_prefix('@').and_then(|route| route.split_once(':')).map_or(address, |(_, address)| address);
    if address.contains(char::is_whitespace) || address.len() > 320 {
        return None;
    }
    Some((address.to_owned(), parameters.split_whitespace().map(str::to_owned).collect()))
}

/// The announced size in bytes.
pub(super) fn size(parameters: &[String]) -> Option<usize> {
    let size = parameters.iter().find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("SIZE").then_some(value)
    })?;
    // A number beyond usize is certainly too big.
    Some(size.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_as_clients_write_them() {
        let address = |text| parse(text, "FROM:").map(|(address, _)| address);
        assert_eq!(address("FROM:<a@b.de> SIZE=10"), Some("a@b.de".into()));
        assert_eq!(address("from: a@b.de"), Some("a@b.de".into()));
        assert_eq!(address("FROM:<>"), Some(String::new()));
        assert_eq!(address("FROM:<@relay.de:a@b.de>"), Some("a@b.de".into()));
        assert_eq!(address("FROM:<a b@c.de>"), None);
        assert_eq!(address("TO:<a@b.de>"), None);
    }
}
