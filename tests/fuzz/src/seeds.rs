//! Where targets begin: the committed documents and mails, seeds of their own, and everything that broke something once.

use std::path::{Path, PathBuf};

use crate::entries::documents;

/// Sound inputs of a target.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seeds {
    /// Of `tests/documents`, those with such an ending; all if none is named.
    Documents(&'static [&'static str]),
    /// The parts of a document that is an archive, as the targets of parts take them.
    Parts(&'static str),
    /// Of `tests/mails`.
    Mails,
    /// Only `seeds/TARGET`.
    Own,
}

impl Seeds {
    pub(crate) const fn documents(endings: &'static [&'static str]) -> Self {
        Self::Documents(endings)
    }

    pub(crate) const fn parts(document: &'static str) -> Self {
        Self::Parts(document)
    }

    pub(crate) const fn mails() -> Self {
        Self::Mails
    }

    pub(crate) const fn own() -> Self {
        Self::Own
    }

    /// In the same order everywhere.
    pub(crate) fn of(self, target: &str) -> Vec<(String, Vec<u8>)> {
        let tests = home().join("..");
        let mut seeds = match self {
            Self::Documents(endings) => {
                let mut files = folder(&tests.join("documents"));
                files.retain(|(name, _)| {
                    let ending = name.rsplit('.').next().unwrap_or_default();
                    ending != "md" && (endings.is_empty() || endings.contains(&ending))
                });
                files
            }
            Self::Parts(document) => documents::parts(document),
            Self::Mails => {
                let mails = tests.join("mails");
                let folders = [mails.clone(), mails.join("hostile"), mails.join("others")];
                let mut files: Vec<(String, Vec<u8>)> = folders.iter().flat_map(|path| folder(path)).collect();
                files.retain(|(name, _)| Path::new(name).extension().is_some_and(|ending| ending == "eml"));
                files
            }
            Self::Own => Vec::new(),
        };
        seeds.extend(folder(&home().join("seeds").join(target)));
        seeds.extend(folder(&home().join("broke").join(target)));
        seeds
    }
}

pub(crate) fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The files of a folder, by name; none if there is no such folder.
fn folder(path: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let mut files: Vec<(String, Vec<u8>)> = files
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, std::fs::read(entry.path()).ok()?)))
        .collect();
    files.sort();
    files
}
