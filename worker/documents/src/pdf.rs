//! The text of PDFs, by interpreting their pages as a viewer would and looking where the letters land.

mod layout;

use hayro_interpret::font::Glyph;
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, GlyphDrawMode, Image, InterpreterCache, InterpreterSettings, Paint,
    PathDrawMode, SoftMask, TransformExt as _, interpret_page,
};
use kurbo::{Affine, BezPath, Point, Rect};

use self::layout::{Layout, Letter};
use crate::document::{Block, Document};
use crate::error::ReadError;
use crate::kind::Kind;
use crate::limits;

pub(crate) fn read(content: &[u8]) -> Result<Document, ReadError> {
    let pdf = Pdf::new(content.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected | DecryptionError::UnsupportedAlgorithm) => {
            ReadError::Encrypted
        }
        LoadPdfError::Decryption(_) | LoadPdfError::Invalid => {
            ReadError::Broken("no PDF reader can open it".to_owned())
        }
    })?;
    let pages = pdf.pages();
    if pages.is_empty() {
        return Err(ReadError::Broken("it has no pages".to_owned()));
    }
    let cache = InterpreterCache::new();
    let mut blocks = Vec::new();
    let mut left_out = Vec::new();
    let mut chars = 0;
    for (at, page) in pages.iter().take(limits::PAGES).enumerate() {
        let settings = InterpreterSettings::default();
        let (width, height) = page.render_dimensions();
        let area = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
        let transform = page.initial_transform(true).to_kurbo();
        let mut drawing = Context::new(transform, area, &cache, pdf.xref(), settings);
        let mut reader = PageReader { area, ..PageReader::default() };
        interpret_page(page, &mut drawing, &mut reader);
        let text = reader.layout.text();
        if text.is_empty() {
            if reader.pictures {
                left_out.push(format!("page {}, which is only a picture", at + 1));
            }
            continue;
        }
        if reader.unknown * 4 > reader.known {
            left_out.push(format!("letters on page {} whose meaning the file does not say", at + 1));
        }
        chars += text.len();
        blocks.push(Block::Text(text));
        if chars > limits::TEXT_CHARS {
            break;
        }
    }
    if pages.len() > limits::PAGES {
        left_out.push(format!("all after {} pages", limits::PAGES));
    }
    if blocks.is_empty() {
        return Err(ReadError::NoText);
    }
    Ok(Document::with(Kind::Pdf, blocks, left_out))
}

/// Takes letters; draws nothing.
#[derive(Default)]
struct PageReader {
    layout: Layout,
    area: Rect,
    pictures: bool,
    known: usize,
    unknown: usize,
}

impl<'a> Device<'a> for PageReader {
    fn draw_glyph(
        &mut self,
        glyph: &Glyph<'a>,
        transform: Affine,
        glyph_transform: Affine,
        _: &Paint<'a>,
        _: &GlyphDrawMode,
    ) {
        let Some(meaning) = glyph.as_unicode() else {
            self.unknown += 1;
            return;
        };
        self.known += 1;
        let place = transform * glyph_transform;
        let at = place * Point::ORIGIN;
        // Outlines are drawn on an em of 1000 units.
        let em = place * Point::new(1_000.0, 0.0) - at;
        let up = (place * Point::new(0.0, 1_000.0) - at).hypot();
        let advance = match glyph {
            Glyph::Outline(outline) => f64::from(outline.advance_width().unwrap_or(500.0)) / 1_000.0,
            Glyph::Type3(_) => 0.5,
        };
        let size = up.max(0.1);
        if !at.x.is_finite() || !at.y.is_finite() || !size.is_finite() || !self.area.inflate(2.0, 2.0).contains(at) {
            return;
        }
        let text = match meaning {
            BfString::Char(one) => one.to_string(),
            BfString::String(several) => several,
        };
        self.layout.push(&Letter { x: at.x, y: at.y, width: em.x.abs() * advance, size, text });
    }

    fn draw_image(&mut self, _: Image<'a, '_>, _: Affine) {
        self.pictures = true;
    }

    fn set_soft_mask(&mut self, _: Option<SoftMask<'a>>) {}
    fn set_blend_mode(&mut self, _: BlendMode) {}
    fn draw_path(&mut self, _: &BezPath, _: Affine, _: &Paint<'a>, _: &PathDrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn pop_clip_path(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
