//! Files that come with mails.

use std::hint::black_box;
use std::sync::LazyLock;

use postrider_documents::Kind;

use crate::mutation::{archive, unpacked};
use crate::seeds::home;

pub(crate) fn read(kind: Kind, bytes: &[u8]) {
    let _ = black_box(postrider_documents::read_as(kind, bytes)).map(|document| document.text());
}

/// As the product does it: the content decides.
pub(crate) fn any(bytes: &[u8]) {
    let _ = black_box(postrider_documents::read(bytes, "order.csv"));
}

pub(crate) fn picture(bytes: &[u8]) {
    for kind in [Kind::Png, Kind::Jpeg, Kind::Gif, Kind::Webp] {
        read(kind, bytes);
    }
}

const PART_BYTES: usize = 64 * 1024;

/// An archive whose sums are right has to be made around what is broken in it, or its readers never see that.
struct Template {
    kind: Kind,
    files: Vec<(String, Vec<u8>)>,
}

impl Template {
    fn of(kind: Kind, document: &str) -> Self {
        Self { kind, files: files(document) }
    }

    /// The first byte says which file of the archive the rest replaces.
    fn read(&self, bytes: &[u8]) {
        let Some((which, rest)) = bytes.split_first() else { return };
        let mut files = self.files.clone();
        let at = usize::from(*which) % files.len().max(1);
        if let Some(file) = files.get_mut(at) {
            file.1 = rest.to_vec();
        }
        read(self.kind, &archive(&files).unwrap_or_default());
    }
}

static XLSX: LazyLock<Template> = LazyLock::new(|| Template::of(Kind::Xlsx, "06-simple.xlsx"));
static ODS: LazyLock<Template> = LazyLock::new(|| Template::of(Kind::Ods, "15-simple.ods"));
static DOCX: LazyLock<Template> = LazyLock::new(|| Template::of(Kind::Docx, "17-table.docx"));

pub(crate) fn xlsx_part(bytes: &[u8]) {
    XLSX.read(bytes);
}

pub(crate) fn ods_part(bytes: &[u8]) {
    ODS.read(bytes);
}

pub(crate) fn docx_part(bytes: &[u8]) {
    DOCX.read(bytes);
}

/// A document's files as these functions take them.
pub(crate) fn parts(document: &str) -> Vec<(String, Vec<u8>)> {
    let part = |(at, (name, bytes)): (usize, (String, Vec<u8>))| {
        let which = u8::try_from(at).unwrap_or_default();
        (name.replace('/', "_"), [vec![which], bytes].concat())
    };
    files(document).into_iter().enumerate().map(part).collect()
}

/// Without the large ones, such as Word's styles, which no reader of ours looks at.
fn files(document: &str) -> Vec<(String, Vec<u8>)> {
    let content = std::fs::read(home().join("../documents").join(document)).unwrap_or_default();
    let mut files = unpacked(&content).unwrap_or_default();
    files.retain(|(_, bytes)| bytes.len() <= PART_BYTES);
    files
}
