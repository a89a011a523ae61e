//! The platform's first key, made on the first start and shown once.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use postrider_shared::database::StoreError;
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::App;

/// Makes the key, unless this or another replica made it before.
pub async fn create(app: &App) -> Result<Option<SecretString>, StoreError> {
    Ok(app.stores().api_keys.ensure_platform_key().await?.map(|issued| issued.text))
}

/// Shows the key on stdout, which is the operator's terminal and not the log, and writes it into the file if one is named.
///
/// The file is written first: a key that was made and shown nowhere would lock everybody out.
pub fn show(key: &SecretString, file: Option<&Path>) -> io::Result<()> {
    let written = file.map_or(Ok(()), |path| write(key, path));
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "platform key (shown once): {}", key.expose_secret())?;
    stdout.flush()?;
    written
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
