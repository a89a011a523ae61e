//! APPEND.

use std::io;

use chrono::{DateTime, Utc};

use super::session::{Answer, Session};
use super::value::Value;
use crate::faults::Stage;
use crate::mailboxes::Delivery;

impl Session {
    pub(super) async fn append(&mut self, address: &str, arguments: &[Value]) -> io::Result<Answer> {
        let [name, options @ .., Value::Text(message)] = arguments else {
            return Ok("BAD APPEND folder [(flags)] [date] message".into());
        };
        let mut delivery = Delivery { folder: name.text(), ..Delivery::default() };
        for option in options {
            match option {
                Value::List(flags) => delivery.flags = flags.iter().filter_map(Value::text).collect(),
                Value::Text(date) => match parse_date(&String::from_utf8_lossy(date)) {
                    Some(at) => delivery.received_at = Some(at),
                    None => return Ok("BAD not a date".into()),
                },
                Value::Atom(_) => return Ok("BAD APPEND folder [(flags)] [date] message".into()),
            }
        }
        self.fault(Stage::Append, &[]).await?;
        let Some(filed) = self.office.mailboxes.deliver(address, delivery, message.clone()) else {
            return Ok("NO [TRYCREATE] no such folder".into());
        };
        self.office.mailboxes.settled().await;
        self.tell_changes(true).await?;
        Ok(format!("OK [APPENDUID {} {}] appended", filed.uid_validity, filed.uid))
    }
}

fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_str(text.trim(), "%d-%b-%Y %H:%M:%S %z").ok().map(|at| at.to_utc())
}
