//! Whose certificates are believed: the system's authorities (or those of `SSL_CERT_FILE`), and those an operator adds.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use lettre::transport::smtp::client::{Certificate, TlsParameters};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why the file of further authorities cannot be used. The process does not start without it: mailboxes that need it would fail.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("EXTRA_CA_CERTS cannot be read as PEM: {0}")]
    Unreadable(#[from] rustls::pki_types::pem::Error),
    #[error("EXTRA_CA_CERTS holds no certificate")]
    Empty,
    #[error("EXTRA_CA_CERTS holds a certificate that is no authority's: {0}")]
    Unusable(#[from] rustls::Error),
}

/// One TLS set-up for every outgoing connection of the process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Trust(Option<Arc<Further>>);

struct Further {
    authorities: Vec<CertificateDer<'static>>,
    config: Arc<ClientConfig>,
}

impl Trust {
    /// The system's authorities and those in this PEM file.
    pub fn with_authorities(file: &Path) -> Result<Self, TrustError> {
        let authorities: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(file)?.collect::<Result<_, _>>()?;
        if authorities.is_empty() {
            return Err(TrustError::Empty);
        }
        let mut roots = system_roots();
        for authority in &authorities {
            roots.add(authority.clone())?;
        }
        Ok(Self(Some(Arc::new(Further { authorities, config: Arc::new(config(roots)) }))))
    }

    /// For rustls. The system's roots are read once in a process, because that costs milliseconds.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        match &self.0 {
            Some(further) => Arc::clone(&further.config),
            None => Arc::clone(SYSTEM.get_or_init(|| Arc::new(config(system_roots())))),
        }
    }

    /// For lettre, which takes no ready configuration and reads the system's roots by itself.
    pub fn smtp_parameters(&self, host: &str) -> Result<TlsParameters, lettre::transport::smtp::Error> {
        let mut builder = TlsParameters::builder(host.to_owned());
        for authority in self.0.iter().flat_map(|further| &further.authorities) {
            builder = builder.add_root_certificate(Certificate::from_der(authority.to_vec())?);
        }
        builder.build()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let further = self.0.as_ref().map_or(0, |further| further.authorities.len());
        write!(f, "Trust(the system's authorities and {further} more)")
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a system root certificate could not be read");
    }
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "system root certificates read");
    roots
}

fn config(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the ring provider supports the default TLS versions");
    versions.with_root_certificates(roots).with_no_client_auth()
}

/// What is wrong with the server's certificate, if that is what ended a conversation: no later try mends it by itself, unlike
/// a handshake that broke off.
pub fn certificate_refused(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An `io::Error` shows what it wraps as itself, not as its source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let wrapped = wrapped.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(refused @ rustls::Error::InvalidCertificate(_)) = wrapped.or_else(|| error.downcast_ref()) {
            return Some(refused.to_string());
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use rustls::CertificateError;

    use super::{Trust, TrustError, certificate_refused};

    #[test]
    fn only_a_refused_certificate_is_one() {
        let refused = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, refused);
        assert!(certificate_refused(&wrapped).is_some_and(|detail| detail.contains("UnknownIssuer")));
        let broken = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(certificate_refused(&broken), None);
        assert_eq!(certificate_refused(&io::Error::from(io::ErrorKind::UnexpectedEof)), None);
    }

    #[test]
    fn a_file_without_a_usable_certificate_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Trust::with_authorities(file.path()), Err(TrustError::Empty)));
        file.write_all(b"-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n").unwrap();
        assert!(matches!(Trust::with_authorities(file.path()), Err(TrustError::Unusable(_))));
        file.write_all(b"-----BEGIN CERTIFICATE-----\n").unwrap();
        assert!(Trust::with_authorities(file.path()).is_err());
    }
}
