//! XML of strangers: no document types, so no entities of their own, and a bounded depth.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::error::ReadError;
use crate::limits;

/// Gives elements, their ends and text, and nothing else.
pub(crate) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
}

/// What comes next.
pub(crate) enum Part<'a> {
    /// An empty element is opened and closed.
    Open(Element<'a>),
    /// With its prefix: the formats' own programs always write the usual ones.
    Close(String),
    Text(String),
    End,
}

/// An element's start.
pub(crate) struct Element<'a>(BytesStart<'a>);

impl<'a> Xml<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, depth: 0 }
    }

    pub(crate) fn next(&mut self) -> Result<Part<'a>, ReadError> {
        loop {
            match self.reader.read_event().map_err(ReadError::broken)? {
                Event::Start(element) => {
                    self.depth += 1;
                    if self.depth > limits::XML_DEPTH {
                        return Err(ReadError::TooLarge(format!("it nests deeper than {}", limits::XML_DEPTH)));
                    }
                    return Ok(Part::Open(Element(element)));
                }
                Event::End(element) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Part::Close(element.name().0.to_owned()));
                }
                Event::Text(text) => return Ok(Part::Text((*text).to_owned())),
                Event::CData(text) => return Ok(Part::Text((*text).to_owned())),
                // `&amp;` and `&#10;`; others would need a document type.
                Event::GeneralRef(reference) => {
                    let named = match &*reference {
                        "amp" => Some('&'),
                        "lt" => Some('<'),
                        "gt" => Some('>'),
                        "quot" => Some('"'),
                        "apos" => Some('\''),
                        _ => reference.resolve_char_ref().map_err(ReadError::broken)?,
                    };
                    return Ok(Part::Text(named.map(String::from).unwrap_or_default()));
                }
                Event::DocType(_) => return Err(ReadError::Broken("it declares a document type".to_owned())),
                Event::Eof => return Ok(Part::End),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Empty(_) => {}
            }
        }
    }
}

impl Element<'_> {
    pub(crate) fn name(&self) -> &str {
        self.0.name().0
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let attribute = self.0.attributes().flatten().find(|one| one.key.0 == name)?;
        attribute.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.attribute(name)?.trim().parse().ok()
    }
}
