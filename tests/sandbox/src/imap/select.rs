//! SELECT and EXAMINE.

use std::io;

use super::session::{Answer, Selected, Session};
use super::value::Value;
use crate::faults::{FaultKind, Stage};
use crate::mailboxes::Change;

impl Session {
    pub(super) async fn select(&mut self, read_only: bool, address: &str, arguments: &[Value]) -> io::Result<Answer> {
        self.selected = None;
        let name = arguments.first().and_then(Value::text).unwrap_or_default();
        let Some(name) = self.folder_name(address, &name) else {
            return Ok("NO [NONEXISTENT] no such folder".into());
        };
        let fault = self.fault(Stage::Select, &[&name]).await?.map(|fault| fault.kind);
        if fault == Some(FaultKind::UidReset) {
            self.renumber(address, &name);
        }
        let Some((uid_validity, uid_next, uids, first_unseen)) = self.folder(address, &name, |folder| {
            let unseen = folder.messages.iter().position(|message| !message.has("\\Seen"));
            (folder.uid_validity, folder.uid_next, folder.uids(), unseen)
        }) else {
            return Ok("NO [NONEXISTENT] no such folder".into());
        };
        let mut lines = vec![
            "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n".to_owned(),
            format!("* {} EXISTS\r\n* 0 RECENT\r\n", uids.len()),
            "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] kept\r\n".to_owned(),
        ];
        if let Some(first) = first_unseen {
            lines.push(format!("* OK [UNSEEN {}] first unseen\r\n", first + 1));
        }
        if fault != Some(FaultKind::MissingFields) {
            let told = if fault == Some(FaultKind::WrongUidvalidity) { uid_validity ^ 0x55 } else { uid_validity };
            lines.push(format!("* OK [UIDVALIDITY {told}] uids\r\n* OK [UIDNEXT {uid_next}] next\r\n"));
        }
        self.wire.put(lines.concat().as_bytes()).await?;
        self.selected = Some(Selected { folder: name, read_only, uid_validity, uids });
        Ok(if read_only { "OK [READ-ONLY] examined".into() } else { "OK [READ-WRITE] selected".into() })
    }

    fn renumber(&self, address: &str, name: &str) {
        self.office.mailboxes.change(address, |mailbox| {
            let uid_validity = mailbox.folder(name).map_or(1, |folder| folder.uid_validity + 1);
            (vec![Change::Renumbered { address: address.to_owned(), folder: name.to_owned(), uid_validity }], ())
        });
    }
}
