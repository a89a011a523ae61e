//! FETCH.

use std::io;

use super::envelope::envelope;
use super::section::Section;
use super::session::{Answer, Selected, Session};
use super::structure::structure;
use super::text::{date_time, literal};
use super::value::Value;
use crate::faults::{FaultKind, Stage};
use crate::ledger::Headings;
use crate::mailboxes::Message;

const HUGE_LITERAL_BYTES: u64 = 8 << 30;
const RUBBISH_CHUNKS: usize = 128;

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Flags,
    Uid,
    InternalDate,
    Size,
    Envelope,
    GmailId,
    /// BODY or BODYSTRUCTURE.
    Structure(&'static str),
    Body {
        label: String,
        section: Section,
        peek: bool,
        partial: Option<(usize, usize)>,
    },
}

impl Session {
    pub(super) async fn fetch(
        &mut self,
        by_uid: bool,
        address: &str,
        selected: &Selected,
        arguments: &[Value],
    ) -> io::Result<Answer> {
        let (Some(found), Some(mut items)) = (selected.resolve(by_uid, arguments.first()), items(arguments.get(1)))
        else {
            return Ok("BAD FETCH set items".into());
        };
        if items.contains(&Item::GmailId) && !self.is_gmail() {
            return Ok("BAD this is not Gmail".into());
        }
        if by_uid && !items.contains(&Item::Uid) {
            items.insert(0, Item::Uid);
        }
        let reads = items.iter().any(|item| matches!(item, Item::Body { peek: false, .. }));
        let fault = self.fault(Stage::Fetch, &[&selected.folder]).await?.map(|fault| fault.kind);
        if fault == Some(FaultKind::MissingFields) {
            items.retain(|item| *item == Item::Uid);
        }
        for (number, uid) in found {
            match fault {
                Some(FaultKind::GarbageLiteral) => return self.garbage(number, uid).await,
                Some(FaultKind::HugeLiteral) => return self.huge(number, uid).await,
                _ => (),
            }
            let Some(Some(mut message)) = self.folder(address, &selected.folder, |folder| folder.get(uid).cloned())
            else {
                continue;
            };
            let mut stages: Vec<Stage> = items.iter().filter_map(Item::stage).collect();
            stages.dedup();
            for stage in stages {
                let subject = Headings::of(&message.raw).subject.unwrap_or_default();
                match self.fault(stage, &[&subject]).await?.map(|fault| fault.kind) {
                    Some(FaultKind::GarbageLiteral) => return self.rubbish(number, uid).await,
                    Some(_) => return Ok("NO [SERVERBUG] Internal error occurred. Refer to server log".into()),
                    None => {}
                }
            }
            let newly_seen = reads && !selected.read_only && !message.has("\\Seen");
            if newly_seen {
                message.flags.push("\\Seen".into());
                self.set_flags(address, &selected.folder, uid, |_| message.flags.clone());
            }
            let mut parts: Vec<Vec<u8>> = items.iter().map(|item| item.of(&message)).collect();
            if newly_seen && !items.contains(&Item::Flags) {
                parts.push(Item::Flags.of(&message));
            }
            self.wire.put(format!("* {number} FETCH (").as_bytes()).await?;
            self.wire.put(&parts.join(&b' ')).await?;
            self.wire.put(b")\r\n").await?;
        }
        Ok("OK fetched".into())
    }

    async fn garbage(&mut self, number: usize, uid: u32) -> io::Result<Answer> {
        self.wire.put(format!("* {number} FETCH (UID {uid} BODY[] {{5}}\r\n").as_bytes()).await?;
        self.wire.put(&[0xFF, 0x00, b'(', b'\r', b'\n'].repeat(100)).await?;
        self.wire.put(b")\r\n").await?;
        Ok("OK fetched".into())
    }

    async fn rubbish(&mut self, number: usize, uid: u32) -> io::Result<Answer> {
        self.wire.put(format!("* {number} FETCH (UID {uid} RFC822.SIZE -1 INTERNALDATE)\r\n").as_bytes()).await?;
        Ok("OK fetched".into())
    }

    async fn huge(&mut self, number: usize, uid: u32) -> io::Result<Answer> {
        self.wire.put(format!("* {number} FETCH (UID {uid} BODY[] {{{HUGE_LITERAL_BYTES}}}\r\n").as_bytes()).await?;
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..RUBBISH_CHUNKS {
            self.wire.say(&chunk).await?;
        }
        self.wire.hang().await;
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl Item {
    /// Where a fault may strike that concerns this message alone.
    fn stage(&self) -> Option<Stage> {
        let label = match self {
            Self::Size | Self::InternalDate => return Some(Stage::Entry),
            Self::Body { label, .. } => label,
            Self::Flags | Self::Uid | Self::Envelope | Self::GmailId | Self::Structure(_) => return None,
        };
        match label.split('<').next() {
            Some("BODY[]" | "RFC822") => Some(Stage::Body),
            Some("BODY[HEADER]" | "RFC822.HEADER") => Some(Stage::Header),
            Some(label) if label.starts_with("BODY[HEADER.FIELDS ") => Some(Stage::Fields),
            _ => None,
        }
    }

    fn of(&self, message: &Message) -> Vec<u8> {
        match self {
            Self::Flags => format!("FLAGS ({})", message.flags.join(" ")).into_bytes(),
            Self::Uid => format!("UID {}", message.uid).into_bytes(),
            Self::InternalDate => format!("INTERNALDATE {}", date_time(message.received_at)).into_bytes(),
            Self::Size => format!("RFC822.SIZE {}", message.raw.len()).into_bytes(),
            Self::GmailId => format!("X-GM-MSGID {}", message.gmail_id()).into_bytes(),
            Self::Envelope => [b"ENVELOPE ".to_vec(), envelope(&message.raw)].concat(),
            Self::Structure(name) => [name.as_bytes().to_vec(), b" ".to_vec(), structure(&message.raw)].concat(),
            Self::Body { label, section, partial, .. } => {
                let value = match (section.of(&message.raw), partial) {
                    (None, _) => b"NIL".to_vec(),
                    (Some(bytes), None) => literal(&bytes),
                    (Some(bytes), Some((start, length))) => {
                        let start = (*start).min(bytes.len());
                        literal(&bytes[start..start.saturating_add(*length).min(bytes.len())])
                    }
                };
                [label.as_bytes().to_vec(), b" ".to_vec(), value].concat()
            }
        }
    }
}

fn items(asked: Option<&Value>) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    for value in asked?.items() {
        let Value::Atom(name) = value else { return None };
        let upper = name.to_ascii_uppercase();
        match upper.as_str() {
            "ALL" => items.extend([Item::Flags, Item::InternalDate, Item::Size, Item::Envelope]),
            "FAST" => items.extend([Item::Flags, Item::InternalDate, Item::Size]),
            "FULL" => {
                items.extend([Item::Flags, Item::InternalDate, Item::Size, Item::Envelope, Item::Structure("BODY")]);
            }
            "FLAGS" => items.push(Item::Flags),
            "UID" => items.push(Item::Uid),
            "INTERNALDATE" => items.push(Item::InternalDate),
            "X-GM-MSGID" => items.push(Item::GmailId),
            "RFC822.SIZE" => items.push(Item::Size),
            "ENVELOPE" => items.push(Item::Envelope),
            "BODY" => items.push(Item::Structure("BODY")),
            "BODYSTRUCTURE" => items.push(Item::Structure("BODYSTRUCTURE")),
            "RFC822" => items.push(whole("RFC822", "", false)?),
            "RFC822.HEADER" => items.push(whole("RFC822.HEADER", "HEADER", true)?),
            "RFC822.TEXT" => items.push(whole("RFC822.TEXT", "TEXT", false)?),
            _ => items.push(body(&upper)?),
        }
    }
    Some(items)
}

fn whole(label: &str, section: &str, peek: bool) -> Option<Item> {
    Some(Item::Body { label: label.into(), section: Section::parse(section)?, peek, partial: None })
}

/// `BODY[…]`, `BODY.PEEK[…]`, both with or without `<start.length>`.
fn body(text: &str) -> Option<Item> {
    let (head, rest) = text.split_once('[')?;
    let peek = match head {
        "BODY" => false,
        "BODY.PEEK" => true,
        _ => return None,
    };
    let (inner, tail) = rest.rsplit_once(']')?;
    let partial = match tail {
        "" => None,
        range => {
            let (start, length) = range.strip_prefix('<')?.strip_suffix('>')?.split_once('.')?;
            Some((start.parse().ok()?, length.parse().ok()?))
        }
    };
    let start = partial.map(|(start, _): (usize, usize)| format!("<{start}>")).unwrap_or_default();
    Some(Item::Body { label: format!("BODY[{inner}]{start}"), section: Section::parse(inner)?, peek, partial })
}
