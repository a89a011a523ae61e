//! The keys of issuers of ID tokens: OpenID Connect Discovery 1.0, then the JWK Set (RFC 7517) that it names.
//!
//! An issuer's own URL is an operator's word and may lead anywhere. Where its document leads is the issuer's: by TLS, to the
//! issuer's own host or where [`Egress`] allows, so that nobody has us call what only we can reach. Redirects are not followed.

pub mod answer;
mod error;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postrider_shared::config::{Issuer, IssuersConfig};
use postrider_shared::egress::Egress;
use postrider_shared::key_sets::PublicKey;
use reqwest::Url;
use reqwest::header::HeaderMap;

pub use self::error::OidcError;
use super::network::{self, Lookup};
use super::transport::Trust;

/// For each of the two calls.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Documents have some 2 kB.
const MAX_DOCUMENT: usize = 64 * 1024;
/// Sets have some 5 kB.
const MAX_KEYS: usize = 256 * 1024;

/// Fetches keys. Shared by all jobs of the process.
#[derive(Debug)]
pub struct Oidc {
    issuers: IssuersConfig,
    /// For what operators name.
    named: reqwest::Client,
    /// For what issuers name.
    foreign: reqwest::Client,
    egress: Egress,
}

/// What a fetch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub keys: Vec<PublicKey>,
    /// For how long the issuer vouches for them, if it says so.
    pub life: Option<Duration>,
}

impl Oidc {
    /// `egress` says where issuers may send us. Fails only if the HTTP client cannot be built.
    pub fn new(issuers: IssuersConfig, egress: Egress, trust: &Trust) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured((*trust.client_config()).clone())
                .connect_timeout(CALL_TIMEOUT / 2)
                .timeout(CALL_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
        };
        let foreign = builder().dns_resolver(Arc::new(Lookup(egress.clone()))).build()?;
        Ok(Self { issuers, named: builder().build()?, foreign, egress })
    }

    /// The issuer of this name, if it is one of this process's settings.
    pub fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.named(name)
    }

    /// An issuer's keys as they are now.
    pub async fn fetch(&self, issuer: &Issuer) -> Result<Found, OidcError> {
        let document_url = Url::parse(&issuer.discovery_url).map_err(|_| OidcError::Url)?;
        let (_, body) = get(&self.named, document_url.clone(), MAX_DOCUMENT).await?;
        let keys_url = answer::keys_url(&body, &issuer.name)?;
        let http = match place(&self.egress, &document_url, &keys_url) {
            Place::Named => &self.named,
            Place::Foreign => &self.foreign,
            Place::Forbidden => return Err(OidcError::Forbidden),
        };
        let (headers, body) = get(http, keys_url, MAX_KEYS).await?;
        Ok(Found { keys: answer::keys(&body)?, life: answer::life(&headers) })
    }
}

/// Whose word it is that we call there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Named,
    Foreign,
    Forbidden,
}

fn place(egress: &Egress, document: &Url, keys: &Url) -> Place {
    if document.origin() == keys.origin() {
        return Place::Named;
    }
    let is_tls = keys.scheme() == "https" && keys.username().is_empty() && keys.password().is_none();
    match keys.host_str() {
        Some(host) if is_tls && egress.allows_host(host) => Place::Foreign,
        _ => Place::Forbidden,
    }
}

async fn get(http: &reqwest::Client, url: Url, most: usize) -> Result<(HeaderMap, Bytes), OidcError> {
    let request = http.get(url).header("accept", "application/json");
    let response = request.send().await.map_err(|error| OidcError::network(&error))?;
    if !response.status().is_success() {
        return Err(OidcError::Refused { status: response.status().as_u16() });
    }
    let headers = response.headers().clone();
    Ok((headers, network::body(response, most).await?))
}

#[cfg(test)]
mod tests {
    use postrider_shared::config::Settings;

    use super::{Egress, Place, Url, place};

    #[test]
    fn keys_lie_where_the_document_does_or_at_a_public_name_with_tls() {
        let by = |egress: &Egress, document: &str, keys: &str| {
            place(egress, &Url::parse(document).unwrap(), &Url::parse(keys).unwrap())
        };
        let of = |document: &str, keys: &str| by(&Egress::default(), document, keys);
        let issuer = "https://login.example.com/.well-known/openid-configuration";
        assert_eq!(of(issuer, "https://login.example.com/keys"), Place::Named);
        assert_eq!(of("http://127.0.0.1:4000/a", "http://127.0.0.1:4000/keys"), Place::Named);
        assert_eq!(of("https://10.0.0.1/a", "https://10.0.0.1/keys"), Place::Named, "an operator's word");
        for foreign in ["https://www.googleapis.com/oauth2/v3/certs", "https://8.8.8.8/keys"] {
            assert_eq!(of(issuer, foreign), Place::Foreign, "{foreign}");
        }
        for forbidden in [
            "http://login.example.com/keys",
            "http://127.0.0.1/keys",
            "https://127.0.0.1/keys",
            "https://2130706433/keys",
            "https://[::1]/keys",
            "https://[::ffff:10.0.0.1]/keys",
            "https://169.254.169.254/latest",
            "https://10.1.2.3/keys",
            "https://100.64.0.1/keys",
            "https://user@keys.example/keys",
            "ftp://keys.example/keys",
            "file:///etc/passwd",
            "data:,x",
        ] {
            assert_eq!(of(issuer, forbidden), Place::Forbidden, "{forbidden}");
        }
        assert_eq!(of("http://127.0.0.1:4000/a", "http://127.0.0.1:4001/keys"), Place::Forbidden, "another port");
        let ours: Egress = Settings::of([("ALLOWED_PRIVATE_NETWORKS", "10.1.0.0/16")]).read().unwrap();
        assert_eq!(by(&ours, issuer, "https://10.1.2.3/keys"), Place::Foreign);
        assert_eq!(by(&ours, issuer, "http://10.1.2.3/keys"), Place::Forbidden);
        assert_eq!(by(&ours, issuer, "https://10.2.2.3/keys"), Place::Forbidden);
    }
}
