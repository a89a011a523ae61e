//! STORE, COPY, MOVE, EXPUNGE, CLOSE.

use std::io;

use super::session::{Answer, Selected, Session};
use super::set::Set;
use super::value::Value;
use crate::faults::Stage;
use crate::mailboxes::{Change, Delivery};

impl Selected {
    /// Sequence numbers and uids of a set; `None` if the text is not a set.
    pub(super) fn resolve(&self, by_uid: bool, set: Option<&Value>) -> Option<Vec<(usize, u32)>> {
        let set = Set::parse(&set?.text()?)?;
        let last = if by_uid { self.uids.last().copied().unwrap_or(0) } else { u32::try_from(self.uids.len()).ok()? };
        let numbered = (1_u32..).zip(&self.uids);
        Some(
            numbered
                .filter(|(number, uid)| set.contains(if by_uid { **uid } else { *number }, last))
                .map(|(number, uid)| (number as usize, *uid))
                .collect(),
        )
    }
}

impl Session {
    pub(super) async fn store(
        &mut self,
        by_uid: bool,
        address: &str,
        selected: &Selected,
        arguments: &[Value],
    ) -> io::Result<Answer> {
        let [set, action, flags @ ..] = arguments else { return Ok("BAD STORE set action flags".into()) };
        let (Some(found), Some(action)) = (selected.resolve(by_uid, Some(set)), action.text()) else {
            return Ok("BAD STORE set action flags".into());
        };
        if selected.read_only {
            return Ok("NO [READ-ONLY] the folder was opened with EXAMINE".into());
        }
        let action = action.to_ascii_uppercase();
        let (action, silent) = action.strip_suffix(".SILENT").map_or((action.as_str(), false), |action| (action, true));
        let given: Vec<String> = flags.iter().flat_map(Value::items).filter_map(|flag| flag.text()).collect();
        if !matches!(action, "FLAGS" | "+FLAGS" | "-FLAGS") {
            return Ok("BAD FLAGS, +FLAGS or -FLAGS".into());
        }
        self.fault(Stage::Store, &[]).await?;
        for (number, uid) in found {
            let Some(flags) = self.set_flags(address, &selected.folder, uid, |old| combine(old, action, &given)) else {
                continue;
            };
            if !silent {
                let uid = if by_uid { format!("UID {uid} ") } else { String::new() };
                let line = format!("* {number} FETCH ({uid}FLAGS ({}))\r\n", flags.join(" "));
                self.wire.put(line.as_bytes()).await?;
            }
        }
        Ok("OK stored".into())
    }

    /// Changes the flags of one message; `None` if it is gone.
    pub(super) fn set_flags(
        &self,
        address: &str,
        folder: &str,
        uid: u32,
        change: impl FnOnce(&[String]) -> Vec<String>,
    ) -> Option<Vec<String>> {
        let changed = self.office.mailboxes.change(address, |mailbox| {
            let Some(message) = mailbox.folder(folder).and_then(|folder| folder.get(uid)) else {
                return (Vec::new(), None);
            };
            let flags = change(&message.flags);
            let (address, folder) = (address.to_owned(), folder.to_owned());
            (vec![Change::Flagged { address, folder, uid, flags: flags.clone() }], Some(flags))
        });
        changed.flatten()
    }

    pub(super) async fn copy(
        &mut self,
        moving: bool,
        by_uid: bool,
        address: &str,
        selected: &Selected,
        arguments: &[Value],
    ) -> io::Result<Answer> {
        let [set, target] = arguments else { return Ok("BAD COPY set folder".into()) };
        let Some(found) = selected.resolve(by_uid, Some(set)) else { return Ok("BAD COPY set folder".into()) };
        let Some(target) = target.text().and_then(|name| self.folder_name(address, &name)) else {
            return Ok("NO [TRYCREATE] no such folder".into());
        };
        let (mut sources, mut targets, mut validity) = (Vec::new(), Vec::new(), 0);
        for (_, uid) in found {
            let Some(Some(message)) = self.folder(address, &selected.folder, |folder| folder.get(uid).cloned()) else {
                continue;
            };
            let delivery = Delivery {
                folder: Some(target.clone()),
                received_at: Some(message.received_at),
                flags: message.flags,
                key: None,
            };
            if let Some(filed) = self.office.mailboxes.deliver(address, delivery, message.raw) {
                sources.push(uid);
                targets.push(filed.uid.to_string());
                validity = filed.uid_validity;
            }
        }
        if sources.is_empty() {
            return Ok("OK nothing to do".into());
        }
        let texts: Vec<String> = sources.iter().map(ToString::to_string).collect();
        let code = format!("[COPYUID {validity} {} {}]", texts.join(","), targets.join(","));
        if moving {
            self.wire.put(format!("* OK {code} moved\r\n").as_bytes()).await?;
            self.remove(address, &selected.folder, |uid| sources.contains(&uid));
            return Ok("OK moved".into());
        }
        Ok(format!("OK {code} copied"))
    }

    pub(super) async fn expunge(
        &mut self,
        address: &str,
        selected: &Selected,
        arguments: &[Value],
    ) -> io::Result<Answer> {
        if selected.read_only {
            return Ok("NO [READ-ONLY] the folder was opened with EXAMINE".into());
        }
        let wanted = match arguments.first() {
            Some(set) => match selected.resolve(true, Some(set)) {
                Some(found) => found.into_iter().map(|(_, uid)| uid).collect(),
                None => return Ok("BAD EXPUNGE set".into()),
            },
            None => selected.uids.clone(),
        };
        self.remove_deleted(address, &selected.folder, &wanted);
        self.tell_changes(true).await?;
        Ok("OK expunged".into())
    }

    pub(super) fn close(&mut self, address: &str, selected: &Selected) -> Answer {
        if !selected.read_only {
            self.remove_deleted(address, &selected.folder, &selected.uids);
        }
        self.selected = None;
        "OK closed".into()
    }

    fn remove_deleted(&self, address: &str, folder: &str, among: &[u32]) {
        let deleted: Vec<u32> = self
            .folder(address, folder, |folder| {
                folder.messages.iter().filter(|message| message.has("\\Deleted")).map(|message| message.uid).collect()
            })
            .unwrap_or_default();
        self.remove(address, folder, |uid| deleted.contains(&uid) && among.contains(&uid));
    }

    fn remove(&self, address: &str, folder: &str, which: impl Fn(u32) -> bool) {
        self.office.mailboxes.change(address, |mailbox| {
            let uids: Vec<u32> = mailbox
                .folder(folder)
                .map(|folder| folder.uids().into_iter().filter(|uid| which(*uid)).collect())
                .unwrap_or_default();
            let (address, folder) = (address.to_owned(), folder.to_owned());
            let changes = if uids.is_empty() { Vec::new() } else { vec![Change::Expunged { address, folder, uids }] };
            (changes, ())
        });
    }
}

fn combine(old: &[String], action: &str, given: &[String]) -> Vec<String> {
    let has = |flags: &[String], flag: &str| flags.iter().any(|set| set.eq_ignore_ascii_case(flag));
    let mut flags: Vec<String> = match action {
        "FLAGS" => Vec::new(),
        "-FLAGS" => return old.iter().filter(|flag| !has(given, flag)).cloned().collect(),
        _ => old.to_vec(),
    };
    for flag in given {
        // \Recent is the server's.
        if !has(&flags, flag) && !flag.eq_ignore_ascii_case("\\Recent") {
            flags.push(flag.clone());
        }
    }
    flags
}
