//! The cookie that carries a session in a browser, and the defence against other sites that use it.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use secrecy::{ExposeSecret as _, SecretString};

use crate::problem::{Answer, Problem, ProblemType};

/// Only this host sets it, only over TLS, for all paths.
const NAME: &str = "__Host-postrider";
/// As long as a session lasts that nobody uses.
const SECONDS: u32 = 7 * 24 * 3_600;

/// The cookie's text in a request, if there is exactly one.
pub fn of(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut ours =
        cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='));
    let first = ours.next()?;
    ours.next().is_none().then_some(first)
}

/// What sets it.
pub fn set(token: &SecretString) -> Answer<HeaderValue> {
    header(token.expose_secret(), SECONDS)
}

/// What makes the browser forget it.
pub fn forget() -> Answer<HeaderValue> {
    header("", 0)
}

fn header(value: &str, seconds: u32) -> Answer<HeaderValue> {
    let text = format!("{NAME}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let mut header = HeaderValue::try_from(text).map_err(Problem::internal)?;
    header.set_sensitive(true);
    Ok(header)
}

/// Refuses a change that another site may have had the browser ask for. Browsers say where a request comes from; what does not say it
/// is no browser, and has no use for a cookie.
pub fn must_be_of_this_site(method: &Method, headers: &HeaderMap) -> Answer<()> {
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let same = match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, rest)| rest == host),
        (None, _, _) => false,
    };
    if same {
        return Ok(());
    }
    Err(Problem::new(ProblemType::Forbidden, "With a cookie, changes are taken from pages of this site only."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_cookie_is_for_this_host_only_and_out_of_reach_of_scripts() {
        let set = set(&"prs_00".into()).unwrap();
        let text = set.to_str().unwrap();
        assert_eq!(text, "__Host-postrider=prs_00; Path=/; Max-Age=604800; Secure; HttpOnly; SameSite=Lax");
        assert!(set.is_sensitive());
        assert!(forget().unwrap().to_str().unwrap().contains("Max-Age=0;"));
        assert_eq!(of(&headers(&[("cookie", "a=b; __Host-postrider=prs_00; c=d")])), Some("prs_00"));
        assert_eq!(of(&headers(&[("cookie", "__Host-postrider=a; __Host-postrider=b")])), None, "which one?");
        assert_eq!(of(&headers(&[("cookie", "__Host-postriderx=a")])), None);
    }

    #[test]
    fn other_sites_change_nothing() {
        let check = |method: Method, pairs: &[_]| must_be_of_this_site(&method, &headers(pairs)).is_ok();
        assert!(check(Method::GET, &[("sec-fetch-site", "cross-site")]));
        assert!(check(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(check(Method::POST, &[("origin", "https://a.example"), ("host", "a.example")]));
        for wrong in [
            &[("sec-fetch-site", "cross-site"), ("origin", "https://a.example"), ("host", "a.example")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://b.example"), ("host", "a.example")],
            &[("origin", "null"), ("host", "a.example")],
            &[("host", "a.example")],
            &[],
        ] {
            for method in [Method::POST, Method::DELETE, Method::PATCH, Method::PUT] {
                assert!(!check(method, wrong), "{wrong:?}");
            }
        }
    }
}
