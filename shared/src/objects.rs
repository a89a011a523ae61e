//! Files: raw mail, logos, PDFs. A folder by default; other stores by URL.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, memory::InMemory, path::Path};
use sha2::{Digest, Sha256};
use std::{io, path::PathBuf, sync::Arc};

use crate::{
    config::ObjectsConfig,
    ids::{AccountId, MailId, QuoteId, TenantId},
};

/// Why a file could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("there is no file `{0}`")]
    NotFound(String),
    #[error("OBJECT_STORE_URL cannot be used: {0}")]
    Url(String),
    #[error("the object store failed")]
    Store(#[source] object_store::Error),
}

impl ObjectError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(_) => true,
            Self::NotFound(_) | Self::Url(_) => false,
        }
    }
}

/// The files of an installation. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Where they lie, if they are files of this machine.
    folder: Option<PathBuf>,
}

impl Objects {
    /// Opens the store; a folder is made if it is missing.
    pub fn open(config: &ObjectsConfig) -> Result<Self, ObjectError> {
        let url = config.url.as_str();
        if url.starts_with("memory:") {
            return Ok(Self { store: Arc::new(InMemory::new()), folder: None });
        }
        let Some(folder) = url.strip_prefix("file://") else {
            return Err(ObjectError::Url(format!("`{:?}` is not a kind of store this version knows", config.url)));
        };
        std::fs::create_dir_all(folder).map_err(|error| ObjectError::Url(format!("{folder}: {error}")))?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| ObjectError::Url(error.to_string()))?
            // A row that names a file must never outlive it in a power failure.
            .with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: Some(folder.into()) })
    }

    /// Stores a file whole or not at all; a file of the same key is replaced.
    pub async fn put(&self, key: &str, content: impl Into<Bytes>) -> Result<(), ObjectError> {
        let path = path(key)?;
        self.store.put(&path, PutPayload::from_bytes(content.into())).await.map_err(|error| failure(key, error))?;
        Ok(())
    }

    /// Reads a whole file.
    pub async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        let path = path(key)?;
        let result = self.store.get(&path).await.map_err(|error| failure(key, error))?;
        result.bytes().await.map_err(|error| failure(key, error))
    }

    /// Removes a file; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let path = path(key)?;
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure(key, error)),
        }
    }

    /// Removes up to so many files of a folder and the folders in it; how many. What a process that was killed had begun to write, which
    /// is no file to anybody else, goes with them, and so do folders that are empty.
    pub async fn delete_some(&self, folder: &str, most: usize) -> Result<usize, ObjectError> {
        let path = path(folder)?;
        if let Some(root) = &self.folder {
            let place = root.join(path.as_ref());
            let removed = tokio::task::spawn_blocking(move || empty(&place, most)).await.map_err(io::Error::other);
            return removed.flatten().map_err(|source| failure(folder, unremoved(source)));
        }
        let found = self.store.list(Some(&path)).take(most).try_collect::<Vec<_>>().await;
        let found = found.map_err(|error| failure(folder, error))?;
        for file in &found {
            self.delete(file.location.as_ref()).await?;
        }
        Ok(found.len())
    }

    /// Whether the store answers (`/readyz`).
    pub async fn ping(&self) -> Result<(), ObjectError> {
        match self.store.head(&Path::from("ping")).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure("ping", error)),
        }
    }
}

/// Where the raw text of a mail is kept.
pub fn raw_mail_key(tenant: TenantId, account: AccountId, mail: MailId) -> String {
    format!("{tenant}/mail/{account}/{mail}.eml")
}

/// Where an attachment of a mail is kept, by its content: the same file twice in a mail is kept once.
pub fn attachment_key(tenant: TenantId, mail: MailId, sha256: &str) -> String {
    format!("{tenant}/attachments/{mail}/{sha256}")
}

/// Where a PDF of a quote's revision is kept, by its content: a run that was overtaken never replaces the one that was sent.
pub fn quote_pdf_key(tenant: TenantId, quote: QuoteId, revision: u32, pdf: &[u8]) -> String {
    format!("{tenant}/quotes/{quote}/{revision}-{}.pdf", hex::encode(Sha256::digest(pdf)))
}

/// Where a tenant's logo is kept; `name` says what it is, such as `logo.png`.
pub fn logo_key(tenant: TenantId, name: &str) -> String {
    format!("{tenant}/brand/{name}")
}

fn path(key: &str) -> Result<Path, ObjectError> {
    Path::parse(key).map_err(|error| ObjectError::Store(error.into()))
}

/// Removes up to so many files and empty folders, and the folder itself when it is empty; how many.
fn empty(folder: &std::path::Path, most: usize) -> io::Result<usize> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        if removed >= most {
            return Ok(removed);
        }
        let entry = entry?;
        // Links are not followed.
        if entry.file_type()?.is_dir() {
            removed += empty(&entry.path(), most - removed)?;
        } else {
            gone(std::fs::remove_file(entry.path()))?;
            removed += 1;
        }
    }
    if removed < most {
        match gone(std::fs::remove_dir(folder)) {
            // Something came meanwhile: the next look finds it.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            done => done?,
        }
        removed += 1;
    }
    Ok(removed)
}

/// Another process may have been there before.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn unremoved(source: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "folder", source: source.into() }
}

fn failure(key: &str, error: object_store::Error) -> ObjectError {
    match error {
        object_store::Error::NotFound { .. } => ObjectError::NotFound(key.to_owned()),
        other => ObjectError::Store(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_keeps_files() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}/new/objects", folder.path().display());
        let objects = Objects::open(&ObjectsConfig::at(url)).unwrap();
        objects.ping().await.unwrap();
        let key = quote_pdf_key(TenantId::random(), QuoteId::random(), 1, b"first");
        assert!(matches!(objects.get(&key).await, Err(ObjectError::NotFound(_))));
        objects.put(&key, "first").await.unwrap();
        objects.put(&key, "second").await.unwrap();
        assert_eq!(objects.get(&key).await.unwrap(), "second");
        objects.delete(&key).await.unwrap();
        objects.delete(&key).await.unwrap();
        assert!(objects.put("../outside", "x").await.is_err());
    }
}
