//! A certificate authority of a test's own, and what it signs. Made with `openssl`, which the packages of the mail servers bring.

use std::path::{Path, PathBuf};
use std::process::Command;

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// Nobody trusts it unless told to.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

/// A server's certificate with its key, both PEM files.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub file: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Its files lie in `folder`, under this name.
    pub fn create(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("make the authority's folder");
        let authority = Self { folder };
        let mut openssl = authority.openssl("authority", &format!("/CN={name}"));
        run(openssl.args(["-addext", "basicConstraints=critical,CA:TRUE"]));
        authority
    }

    /// The PEM file by which it is trusted.
    pub fn file(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// For a server with this DNS name.
    pub fn certificate_for(&self, host: &str) -> Certificate {
        let mut openssl = self.openssl(host, &format!("/CN={host}"));
        let authority = [("-CA", "authority.pem"), ("-CAkey", "authority.key")];
        for (option, file) in authority {
            openssl.arg(option).arg(self.folder.join(file));
        }
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        run(openssl.args(["-addext", &format!("subjectAltName=DNS:{host}")]));
        Certificate { file: self.folder.join(format!("{host}.pem")), key: self.folder.join(format!("{host}.key")) }
    }

    fn openssl(&self, name: &str, subject: &str) -> Command {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-days", "2", "-subj", subject]).args(KEY);
        command.arg("-keyout").arg(self.folder.join(format!("{name}.key")));
        command.arg("-out").arg(self.folder.join(format!("{name}.pem")));
        command
    }
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
