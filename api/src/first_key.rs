//! The platform's first key, made on the first start and shown once.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use postrider_shared::database::StoreError;
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::App;

/// Why there is no key. The next start tries again, with another one.
#[derive(Debug, thiserror::Error)]
pub enum FirstKeyError {
    /// It cannot be stored.
    #[error("the platform's key cannot be made")]
    Store(#[from] StoreError),
    /// It cannot be written into its file.
    #[error("PLATFORM_KEY_FILE: `{path}` cannot be written, and no key was made")]
    File {
        /// Of the file.
        path: PathBuf,
        /// What was wrong.
        source: io::Error,
    },
    /// Nobody reads what is printed.
    #[error("the platform's key cannot be printed on standard output, and none was made")]
    Stdout(#[source] io::Error),
}

/// Makes the key and shows it, unless this or another replica made it before. One that cannot be shown is not made: it would lock
/// everybody out.
pub async fn create(
    app: &App,
    show: impl FnOnce(&SecretString) -> Result<(), FirstKeyError>,
) -> Result<Option<SecretString>, FirstKeyError> {
    Ok(app.stores().api_keys.ensure_platform_key(show).await?.map(|issued| issued.text))
}

/// Writes the key into the file, if one is named, and shows it on stdout, which is the operator's terminal and not the log.
///
/// # Errors
/// When either cannot be done.
pub fn show(key: &SecretString, file: Option<&Path>) -> Result<(), FirstKeyError> {
    if let Some(path) = file {
        write(key, path).map_err(|source| FirstKeyError::File { path: path.to_owned(), source })?;
    }
    let mut stdout = io::stdout().lock();
    let printed = writeln!(stdout, "platform key (shown once): {}", key.expose_secret());
    printed.and_then(|()| stdout.flush()).map_err(FirstKeyError::Stdout)
}

fn write(key: &SecretString, path: &Path) -> io::Result<()> {
    // An older file may be readable by others: it is replaced, not filled.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", key.expose_secret())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_file_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "old").unwrap();
        super::show(&"pr_a_b".into(), Some(&path)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "pr_a_b\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
