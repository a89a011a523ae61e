//! The fonts in the binary: `templates/fonts`, with their licence. No font of the machine is used, so that a PDF looks
//! the same everywhere.

use typst::{
    foundations::Bytes,
    text::{Font, FontBook},
    utils::LazyHash,
};

pub(super) struct Fonts {
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
}

macro_rules! font {
    ($name:literal) => {
        include_bytes!(concat!("../../templates/fonts/", $name)).as_slice()
    };
}

static FILES: [&[u8]; 15] = [
    font!("Inter-Regular.otf"),
    font!("Inter-SemiBold.otf"),
    font!("Inter-Bold.otf"),
    font!("NotoSansArabic-Regular.ttf"),
    font!("NotoSansBengali-Regular.ttf"),
    font!("NotoSansDevanagari-Regular.ttf"),
    font!("NotoSansGujarati-Regular.ttf"),
    font!("NotoSansGurmukhi-Regular.ttf"),
    font!("NotoSansHebrew-Regular.ttf"),
    font!("NotoSansKannada-Regular.ttf"),
    font!("NotoSansMalayalam-Regular.ttf"),
    font!("NotoSansOriya-Regular.ttf"),
    font!("NotoSansTamil-Regular.ttf"),
    font!("NotoSansTelugu-Regular.ttf"),
    font!("NotoSansThai-Regular.ttf"),
];

impl Fonts {
    pub(super) fn embedded() -> Self {
        let fonts: Vec<_> = FILES.iter().flat_map(|file| Font::iter(Bytes::new(*file))).collect();
        Self { book: LazyHash::new(FontBook::from_fonts(&fonts)), fonts }
    }

    pub(super) fn book(&self) -> &LazyHash<FontBook> {
        &self.book
    }

    pub(super) fn get(&self, index: usize) -> Option<Font> {
        self.fonts.get(index).cloned()
    }
}
