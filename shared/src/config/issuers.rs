//! Whose word on who somebody is counts: Google, and any issuer of OpenID Connect.

use super::{Reader, Section};

/// How Google calls itself in the discovery document, and in most tokens.
const GOOGLE: &str = "https://accounts.google.com";
/// How it calls itself in the others.
const GOOGLE_TOO: &str = "accounts.google.com";
/// Longest name of an issuer.
const LONGEST: usize = 250;

/// An issuer of ID tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Exactly as it stands in its discovery document; identities and keys are kept under this name.
    pub name: String,
    pub discovery_url: String,
    /// What a token must be meant for: the ids of our clients there.
    pub audiences: Vec<String>,
}

impl Issuer {
    /// Whether this is the issuer of a token whose `iss` is this text. Exactly, but for Google's two spellings.
    pub fn is_spelled(&self, iss: &str) -> bool {
        self.name == iss || (self.is_google() && iss == GOOGLE_TOO)
    }

    /// Google manages addresses itself, and says of which: see [`Proven`](crate::identities::Proven).
    pub fn is_google(&self) -> bool {
        self.name == GOOGLE
    }
}

/// All issuers whose tokens sign people in; none where nothing is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuersConfig(Vec<Issuer>);

impl IssuersConfig {
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.0.iter()
    }

    /// The issuer of a token whose `iss` is this text.
    pub fn spelled(&self, iss: &str) -> Option<&Issuer> {
        self.0.iter().find(|issuer| issuer.is_spelled(iss))
    }

    /// The issuer of this name.
    pub fn named(&self, name: &str) -> Option<&Issuer> {
        self.0.iter().find(|issuer| issuer.name == name)
    }

    fn add(&mut self, name: &str, discovery_url: String, audience: &str) {
        match self.0.iter_mut().find(|issuer| issuer.name == name) {
            Some(known) if known.audiences.iter().any(|have| have == audience) => {}
            Some(known) => known.audiences.push(audience.to_owned()),
            None => {
                let (name, audiences) = (name.to_owned(), vec![audience.to_owned()]);
                self.0.push(Issuer { name, discovery_url, audiences });
            }
        }
    }
}

impl Section for IssuersConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut issuers = Self::default();
        if let Some(clients) = reader.text("GOOGLE_SIGN_IN_CLIENT_ID") {
            let url = reader.text("GOOGLE_SIGN_IN_DISCOVERY_URL")?;
            if !is_safe(&url) {
                reader.problem("GOOGLE_SIGN_IN_DISCOVERY_URL", "must start with https://");
                return None;
            }
            for client in parts(&clients) {
                issuers.add(GOOGLE, url.clone(), client);
            }
        }
        let others = reader.text("OIDC_ISSUERS").unwrap_or_default();
        for part in parts(&others) {
            let Some((name, audience)) = part.split_once('=').map(|(name, audience)| (name.trim(), audience.trim()))
            else {
                reader.problem("OIDC_ISSUERS", "must look like https://login.example.com=the-client's-id");
                return None;
            };
            let is_plain =
                name.len() <= LONGEST && !name.contains(['?', '#', '@']) && !name.contains(char::is_whitespace);
            if !is_safe(name) || !is_plain || audience.is_empty() {
                let form = "must name issuers as https:// URLs without query, fragment or user, each with an audience";
                reader.problem("OIDC_ISSUERS", form);
                return None;
            }
            if name.trim_end_matches('/') == GOOGLE {
                reader.problem("OIDC_ISSUERS", "is for others than Google: set GOOGLE_SIGN_IN_CLIENT_ID");
                return None;
            }
            let url = format!("{}/.well-known/openid-configuration", name.trim_end_matches('/'));
            issuers.add(name, url, audience);
        }
        Some(issuers)
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Keys that come without TLS are anybody's. On one's own machine, where sandboxes are, nobody stands between.
fn is_safe(url: &str) -> bool {
    if url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
        return true;
    }
    let host = url.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
    matches!(host, Some("127.0.0.1" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::super::{ConfigErrors, Settings};
    use super::IssuersConfig;

    fn read(settings: &[(&'static str, &'static str)]) -> Result<IssuersConfig, ConfigErrors> {
        Settings::of(settings.iter().copied()).read()
    }

    #[test]
    fn google_takes_a_client_id_and_others_an_issuer_with_an_audience() {
        assert_eq!(read(&[]).unwrap(), IssuersConfig::default());
        let two = "https://login.example.com/realms/one=a, https://login.example.com/realms/one=b,https://x.example/=c";
        let issuers = read(&[("GOOGLE_SIGN_IN_CLIENT_ID", "web, app"), ("OIDC_ISSUERS", two)]).unwrap();
        let google = issuers.spelled("accounts.google.com").unwrap();
        assert_eq!((google, google.audiences.len()), (issuers.named("https://accounts.google.com").unwrap(), 2));
        let other = issuers.spelled("https://login.example.com/realms/one").unwrap();
        assert_eq!(other.audiences, ["a", "b"]);
        assert_eq!(other.discovery_url, "https://login.example.com/realms/one/.well-known/openid-configuration");
        assert_eq!(issuers.spelled("https://x.example/").unwrap().name, "https://x.example/");
        for near in ["https://x.example", "https://login.example.com/realms/one/", "http://accounts.google.com", ""] {
            assert!(issuers.spelled(near).is_none(), "{near}");
        }
    }

    #[test]
    fn an_issuer_is_reached_over_tls_or_on_ones_own_machine() {
        assert!(read(&[("OIDC_ISSUERS", "http://127.0.0.1:4000/oidc/a=b")]).is_ok());
        for wrong in [
            "https://a.example",
            "https://a.example=",
            "http://a.example=b",
            "http://127.0.0.1.a.example=b",
            "http://127.0.0.1@a.example=b",
            "https://a.example?x=b",
            "https:///=b",
            "ftp://a.example=b",
            "https://accounts.google.com=b",
        ] {
            let errors = read(&[("OIDC_ISSUERS", wrong)]).unwrap_err();
            assert!(errors.problems()[0].starts_with("OIDC_ISSUERS: "), "{wrong}: {errors}");
        }
        let google = [("GOOGLE_SIGN_IN_CLIENT_ID", "web"), ("GOOGLE_SIGN_IN_DISCOVERY_URL", "http://a.example")];
        assert!(read(&google).is_err());
    }
}
