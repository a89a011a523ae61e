//! LIST, LSUB, STATUS, CREATE, DELETE.

use std::io;

use super::session::{Answer, Session};
use super::text::string;
use super::value::Value;
use crate::mailboxes::{Change, Folder};

impl Session {
    pub(super) async fn list(&mut self, verb: &str, address: &str, arguments: &[Value]) -> io::Result<Answer> {
        let [reference, pattern, ..] = arguments else { return Ok(format!("BAD {verb} reference pattern")) };
        let (Some(reference), Some(pattern)) = (reference.text(), pattern.text()) else {
            return Ok(format!("BAD {verb} reference pattern"));
        };
        if pattern.is_empty() {
            self.wire.put(format!("* {verb} (\\Noselect) \"/\" \"\"\r\n").as_bytes()).await?;
            return Ok("OK done".into());
        }
        let pattern = format!("{reference}{pattern}");
        let names: Vec<String> = self
            .office
            .mailboxes
            .read(address, |mailbox| mailbox.folders.keys().cloned().collect())
            .unwrap_or_default();
        for name in names.iter().filter(|name| matches(&pattern, name)) {
            let special =
                if matches!(name.as_str(), "Sent" | "Drafts" | "Trash") { format!(" \\{name}") } else { String::new() };
            let mut line = format!("* {verb} (\\HasNoChildren{special}) \"/\" ").into_bytes();
            line.extend(string(name.as_bytes()));
            line.extend(b"\r\n");
            self.wire.put(&line).await?;
        }
        Ok("OK done".into())
    }

    pub(super) async fn status(&mut self, address: &str, arguments: &[Value]) -> io::Result<Answer> {
        let [name, items] = arguments else { return Ok("BAD STATUS folder (items)".into()) };
        let wanted: Vec<String> = items.items().iter().filter_map(Value::text).collect();
        let Some(name) = name.text().and_then(|name| self.folder_name(address, &name)) else {
            return Ok("NO [NONEXISTENT] no such folder".into());
        };
        let values = self.folder(address, &name, |folder| {
            wanted.iter().map(|item| Some(format!("{item} {}", figure(folder, item)?))).collect::<Option<Vec<_>>>()
        });
        let Some(values) = values.flatten() else { return Ok("BAD unknown status item".into()) };
        let mut line = b"* STATUS ".to_vec();
        line.extend(string(name.as_bytes()));
        line.extend(format!(" ({})\r\n", values.join(" ")).into_bytes());
        self.wire.put(&line).await?;
        Ok("OK done".into())
    }

    pub(super) fn create(&mut self, address: &str, arguments: &[Value]) -> Answer {
        let Some(name) = arguments.first().and_then(Value::text).filter(|name| !name.is_empty()) else {
            return "BAD CREATE folder".into();
        };
        let name = name.trim_end_matches('/').to_owned();
        let made = self.office.mailboxes.change(address, |mailbox| {
            let exists = mailbox.folder_name(&name).is_some();
            let changes = if exists { Vec::new() } else { vec![Change::folder_created(address, &name)] };
            (changes, !exists)
        });
        if made == Some(true) { "OK created".into() } else { "NO [ALREADYEXISTS] the folder exists".into() }
    }

    pub(super) fn delete(&mut self, address: &str, arguments: &[Value]) -> Answer {
        let name = arguments.first().and_then(Value::text).unwrap_or_default();
        let deleted = self.office.mailboxes.change(address, |mailbox| match mailbox.folder_name(&name) {
            Some(folder) if folder != "INBOX" => {
                (vec![Change::FolderDeleted { address: address.to_owned(), folder }], true)
            }
            _ => (Vec::new(), false),
        });
        if deleted == Some(true) { "OK deleted".into() } else { "NO [CANNOT] no such folder, or INBOX".into() }
    }

    pub(super) fn folder_name(&self, address: &str, name: &str) -> Option<String> {
        self.office.mailboxes.read(address, |mailbox| mailbox.folder_name(name)).flatten()
    }
}

fn figure(folder: &Folder, item: &str) -> Option<u64> {
    let count = |wanted: &dyn Fn(&crate::mailboxes::Message) -> bool| {
        folder.messages.iter().filter(|message| wanted(message)).count() as u64
    };
    match item.to_ascii_uppercase().as_str() {
        "MESSAGES" => Some(count(&|_| true)),
        "RECENT" => Some(0),
        "UIDNEXT" => Some(u64::from(folder.uid_next)),
        "UIDVALIDITY" => Some(u64::from(folder.uid_validity)),
        "UNSEEN" => Some(count(&|message| !message.has("\\Seen"))),
        _ => None,
    }
}

/// `*` matches anything, `%` anything but the hierarchy delimiter; INBOX in any case.
fn matches(pattern: &str, name: &str) -> bool {
    if name == "INBOX" && pattern.eq_ignore_ascii_case(name) {
        return true;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // reach[n]: the pattern so far can end at the n-th letter of the name.
    let mut reach = vec![false; name.len() + 1];
    reach[0] = true;
    for wanted in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match wanted {
                '*' => reach[at] || (at > 0 && next[at - 1]),
                '%' => reach[at] || (at > 0 && next[at - 1] && name[at - 1] != '/'),
                letter => at > 0 && reach[at - 1] && name[at - 1] == letter,
            };
        }
        reach = next;
    }
    reach[name.len()]
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_know_the_hierarchy() {
        assert!(matches("*", "a/b"));
        assert!(matches("%", "a"));
        assert!(!matches("%", "a/b"));
        assert!(matches("a/%", "a/b"));
        assert!(matches("inbox", "INBOX"));
        assert!(!matches("a", "ab"));
    }
}
