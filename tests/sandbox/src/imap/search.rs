//! SEARCH.

use std::io;

use chrono::{DateTime, NaiveDate};
use mail_parser::{HeaderName, MessageParser};

use super::section::split;
use super::session::{Answer, Selected, Session};
use super::set::Set;
use super::value::Value;
use crate::faults::Stage;
use crate::mailboxes::Message;

/// Every NOT and OR goes one level deeper, so the words of a search bound the stack it needs.
const MAX_WORDS: usize = 300;

#[derive(Debug)]
enum Key {
    All,
    Numbers(Set),
    Uids(Set),
    Flag(String, bool),
    Received(Order, NaiveDate),
    Sent(Order, NaiveDate),
    Header(String, String),
    Body(String),
    Text(String),
    Larger(usize),
    Smaller(usize),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Vec<Key>),
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Before,
    On,
    Since,
}

/// What the stars of a set mean.
struct Last {
    number: u32,
    uid: u32,
}

impl Session {
    pub(super) async fn search(
        &mut self,
        by_uid: bool,
        address: &str,
        selected: &Selected,
        arguments: &[Value],
    ) -> io::Result<Answer> {
        if words_of(arguments) > MAX_WORDS {
            return Ok("BAD too many words".into());
        }
        let mut words = arguments;
        if let [Value::Atom(charset), name, rest @ ..] = words
            && charset.eq_ignore_ascii_case("CHARSET")
        {
            let name = name.text().unwrap_or_default();
            if !name.eq_ignore_ascii_case("UTF-8") && !name.eq_ignore_ascii_case("US-ASCII") {
                return Ok("NO [BADCHARSET (UTF-8 US-ASCII)] unknown charset".into());
            }
            words = rest;
        }
        let Some(key) = all_keys(words).filter(|_| !words.is_empty()) else {
            return Ok("BAD unknown search key".into());
        };
        self.fault(Stage::Search, &[&selected.folder]).await?;
        let messages = self.folder(address, &selected.folder, |folder| folder.messages.clone()).unwrap_or_default();
        let last = Last {
            number: u32::try_from(selected.uids.len()).unwrap_or(u32::MAX),
            uid: selected.uids.last().copied().unwrap_or(0),
        };
        let mut line = "* SEARCH".to_owned();
        for (number, uid) in (1_u32..).zip(&selected.uids) {
            let Ok(at) = messages.binary_search_by_key(uid, |message| message.uid) else { continue };
            if key.matches(&messages[at], number, &last) {
                line.push(' ');
                line.push_str(&if by_uid { *uid } else { number }.to_string());
            }
        }
        self.wire.put(format!("{line}\r\n").as_bytes()).await?;
        Ok("OK searched".into())
    }
}

fn words_of(values: &[Value]) -> usize {
    values.iter().map(|value| if let Value::List(inner) = value { 1 + words_of(inner) } else { 1 }).sum()
}

fn all_keys(mut words: &[Value]) -> Option<Key> {
    let mut keys = Vec::new();
    while !words.is_empty() {
        keys.push(one_key(&mut words)?);
    }
    Some(Key::And(keys))
}

fn one_key(words: &mut &[Value]) -> Option<Key> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    if let Value::List(inner) = first {
        return all_keys(inner);
    }
    let name = first.text()?.to_ascii_uppercase();
    let flag = |flag: &str, set: bool| Some(Key::Flag(format!("\\{flag}"), set));
    match name.as_str() {
        "ALL" | "OLD" => Some(Key::All),
        "ANSWERED" => flag("Answered", true),
        "DELETED" => flag("Deleted", true),
        "DRAFT" => flag("Draft", true),
        "FLAGGED" => flag("Flagged", true),
        "SEEN" => flag("Seen", true),
        "RECENT" | "NEW" => flag("Recent", true),
        "UNANSWERED" => flag("Answered", false),
        "UNDELETED" => flag("Deleted", false),
        "UNDRAFT" => flag("Draft", false),
        "UNFLAGGED" => flag("Flagged", false),
        "UNSEEN" => flag("Seen", false),
        "KEYWORD" => Some(Key::Flag(text(words)?, true)),
        "UNKEYWORD" => Some(Key::Flag(text(words)?, false)),
        "BEFORE" => Some(Key::Received(Order::Before, date(words)?)),
        "ON" => Some(Key::Received(Order::On, date(words)?)),
        "SINCE" => Some(Key::Received(Order::Since, date(words)?)),
        "SENTBEFORE" => Some(Key::Sent(Order::Before, date(words)?)),
        "SENTON" => Some(Key::Sent(Order::On, date(words)?)),
        "SENTSINCE" => Some(Key::Sent(Order::Since, date(words)?)),
        "FROM" | "TO" | "CC" | "BCC" | "SUBJECT" => Some(Key::Header(name, text(words)?.to_lowercase())),
        "HEADER" => Some(Key::Header(text(words)?, text(words)?.to_lowercase())),
        "BODY" => Some(Key::Body(text(words)?.to_lowercase())),
        "TEXT" => Some(Key::Text(text(words)?.to_lowercase())),
        "LARGER" => Some(Key::Larger(text(words)?.parse().ok()?)),
        "SMALLER" => Some(Key::Smaller(text(words)?.parse().ok()?)),
        "UID" => Some(Key::Uids(Set::parse(&text(words)?)?)),
        "NOT" => Some(Key::Not(Box::new(one_key(words)?))),
        "OR" => Some(Key::Or(Box::new(one_key(words)?), Box::new(one_key(words)?))),
        _ => Some(Key::Numbers(Set::parse(&name)?)),
    }
}

fn text(words: &mut &[Value]) -> Option<String> {
    let (first, rest) = words.split_first()?;
    *words = rest;
    first.text()
}

fn date(words: &mut &[Value]) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(&text(words)?, "%d-%b-%Y").ok()
}

impl Order {
    fn holds(self, day: NaiveDate, asked: NaiveDate) -> bool {
        match self {
            Self::Before => day < asked,
            Self::On => day == asked,
            Self::Since => day >= asked,
        }
    }
}

impl Key {
    fn matches(&self, message: &Message, number: u32, last: &Last) -> bool {
        match self {
            Self::All => true,
            Self::Numbers(set) => set.contains(number, last.number),
            Self::Uids(set) => set.contains(message.uid, last.uid),
            Self::Flag(flag, set) => message.has(flag) == *set,
            Self::Received(order, day) => order.holds(message.received_at.date_naive(), *day),
            Self::Sent(order, day) => sent_day(&message.raw).is_some_and(|sent| order.holds(sent, *day)),
            Self::Header(name, wanted) => header(&message.raw, name).is_some_and(|text| text.contains(wanted)),
            Self::Body(wanted) => body(&message.raw).contains(wanted),
            Self::Text(wanted) => {
                String::from_utf8_lossy(split(&message.raw).0).to_lowercase().contains(wanted)
                    || body(&message.raw).contains(wanted)
            }
            Self::Larger(bytes) => message.raw.len() > *bytes,
            Self::Smaller(bytes) => message.raw.len() < *bytes,
            Self::Not(key) => !key.matches(message, number, last),
            Self::Or(one, other) => one.matches(message, number, last) || other.matches(message, number, last),
            Self::And(keys) => keys.iter().all(|key| key.matches(message, number, last)),
        }
    }
}

fn sent_day(raw: &[u8]) -> Option<NaiveDate> {
    let message = MessageParser::new().parse_headers(raw)?;
    DateTime::parse_from_rfc3339(&message.date()?.to_rfc3339()).ok().map(|at| at.date_naive())
}

/// The field in lower case, decoded if it is the subject; an empty text if it is there but empty.
fn header(raw: &[u8], name: &str) -> Option<String> {
    let message = MessageParser::new().parse_headers(raw)?;
    let name = HeaderName::parse(name.to_owned())?;
    let decoded = (name == HeaderName::Subject).then(|| message.subject()).flatten().unwrap_or_default().to_lowercase();
    message.header_raw(name).map(|text| format!("{}\n{decoded}", text.to_lowercase()))
}

fn body(raw: &[u8]) -> String {
    let Some(message) = MessageParser::new().parse(raw) else { return String::new() };
    let texts = (0..message.text_body_count()).filter_map(|at| message.body_text(at));
    texts.map(|text| text.to_lowercase()).collect::<Vec<_>>().join("\n")
}
