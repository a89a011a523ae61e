//! The whole world a template can see: itself, one quote, one logo and our fonts. No file system, no packages, no clock.

use std::{path::PathBuf, sync::LazyLock};

use typst::{
    Library, LibraryExt, World,
    diag::{FileError, FileResult},
    foundations::{Bytes, Datetime, Duration},
    syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot},
    text::{Font, FontBook},
    utils::LazyHash,
};

use super::{Logo, fonts::Fonts};

/// Built once per process: the standard library, the parsed template and the fonts.
struct Press {
    library: LazyHash<Library>,
    fonts: &'static Fonts,
    template: Source,
    quote: FileId,
    logo: FileId,
}

static PRESS: LazyLock<Press> = LazyLock::new(|| Press {
    library: LazyHash::new(Library::default()),
    fonts: Fonts::shared(),
    template: Source::new(file("quote.typ"), include_str!("../../templates/quote.typ").to_owned()),
    quote: file("quote.json"),
    logo: file("logo"),
});

pub(super) struct QuoteWorld {
    press: &'static Press,
    quote: Bytes,
    logo: Option<Bytes>,
}

impl QuoteWorld {
    pub(super) fn new(quote: Vec<u8>, logo: Option<Logo>) -> Self {
        Self { press: &PRESS, quote: Bytes::new(quote), logo: logo.map(|logo| Bytes::new(logo.into_bytes())) }
    }
}

impl World for QuoteWorld {
    fn library(&self) -> &LazyHash<Library> {
        &self.press.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        self.press.fonts.book()
    }

    fn main(&self) -> FileId {
        self.press.template.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.press.template.id() { Ok(self.press.template.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        if id == self.press.quote {
            Ok(self.quote.clone())
        } else if id == self.press.logo {
            self.logo.clone().ok_or_else(|| FileError::NotFound(PathBuf::from("logo")))
        } else {
            Err(FileError::AccessDenied)
        }
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.press.fonts.get(index)
    }

    /// A document says its date itself; a clock would make two renderings differ.
    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        None
    }
}

fn file(name: &str) -> FileId {
    let path = VirtualPath::new(name).expect("a plain file name is a path");
    RootedPath::new(VirtualRoot::Project, path).intern()
}
