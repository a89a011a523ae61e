//! The fonts in the binary: `templates/fonts`, with their licence. No font of the machine is used, so that a PDF looks
//! the same everywhere.

use std::{collections::HashSet, sync::LazyLock};

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

static FILES: [&[u8]; 19] = [
    font!("Inter-Regular.otf"),
    font!("Inter-SemiBold.otf"),
    font!("Inter-Bold.otf"),
    font!("NotoSansArabic-Regular.ttf"),
    font!("NotoSansBengali-Regular.ttf"),
    font!("NotoSansDevanagari-Regular.ttf"),
    font!("NotoSansDevanagari-Bold.ttf"),
    font!("NotoSansGujarati-Regular.ttf"),
    font!("NotoSansGurmukhi-Regular.ttf"),
    font!("NotoSansGurmukhi-Bold.ttf"),
    font!("NotoSansHebrew-Regular.ttf"),
    font!("NotoSansKannada-Regular.ttf"),
    font!("NotoSansKannada-Bold.ttf"),
    font!("NotoSansMalayalam-Regular.ttf"),
    font!("NotoSansOriya-Regular.ttf"),
    font!("NotoSansTamil-Regular.ttf"),
    font!("NotoSansTamil-Bold.ttf"),
    font!("NotoSansTelugu-Regular.ttf"),
    font!("NotoSansThai-Regular.ttf"),
];

/// Read once: every renderer of the process uses the same.
static FONTS: LazyLock<Fonts> = LazyLock::new(Fonts::embedded);
/// Characters that at least one font has.
static COVERED: LazyLock<HashSet<u32>> = LazyLock::new(|| {
    let infos = (0..FONTS.fonts.len()).filter_map(|index| FONTS.book.info(index));
    infos.flat_map(|info| info.coverage.iter()).collect()
});

/// Whether this character can be drawn; one that cannot would show as an empty box.
pub(super) fn covers(character: char) -> bool {
    character.is_ascii() || COVERED.contains(&u32::from(character))
}

impl Fonts {
    pub(super) fn shared() -> &'static Self {
        &FONTS
    }

    fn embedded() -> Self {
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
