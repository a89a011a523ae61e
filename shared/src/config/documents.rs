//! What is done with files that come with mails.

use std::path::PathBuf;

use super::{Reader, Section};

/// Where clamd listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScannerAddress {
    /// Host and port.
    Tcp(String),
    /// A Unix socket.
    Socket(PathBuf),
}

/// Scanner and sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentsConfig {
    /// Asked before a file is kept or read.
    pub scanner: Option<ScannerAddress>,
    /// Whether the language model is shown pictures.
    pub sees_pictures: bool,
}

impl Section for DocumentsConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let scanner = reader.text("CLAMD_ADDRESS");
        let scanner = match scanner.as_deref().map(|address| (address.strip_prefix("unix:"), address)) {
            None => None,
            Some((Some(path), _)) if path.starts_with('/') => Some(ScannerAddress::Socket(path.into())),
            Some((None, address)) if address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
                Some(ScannerAddress::Tcp(address.to_owned()))
            }
            Some(_) => {
                reader.problem("CLAMD_ADDRESS", "must be host:port or unix:/path/of/the/socket");
                return None;
            }
        };
        let sees_pictures = match reader.text("OPENAI_MODEL_SEES").as_deref() {
            Some("yes") => true,
            Some("no") | None => false,
            Some(_) => {
                reader.problem("OPENAI_MODEL_SEES", "must be yes or no");
                return None;
            }
        };
        Some(Self { scanner, sees_pictures })
    }
}
