//! What a mail is known by if somebody sends the same again.

use postrider_shared::accounts::identity_of;

use super::attachments::sha256;
use super::question::Material;
use crate::extraction::normal;
use crate::mail::subject;

/// The same for mails of one sender that answer the same mail, if any, with the same subject, new words and files; `None` if there are
/// no words and no files, or more files than were looked at.
pub(super) fn of(material: &Material) -> Option<String> {
    let (mail, files) = (&material.mail, &material.files);
    if files.further > 0 || material.text.trim().is_empty() && files.known.is_empty() {
        return None;
    }
    let mut digests: Vec<&str> = files.known.iter().map(|file| file.sha256.as_str()).collect();
    digests.sort_unstable();
    let answer_to = material.sender.answer_to.as_deref().map(identity_of).unwrap_or_default();
    let parts = [
        identity_of(&material.record.from_address),
        answer_to,
        mail.in_reply_to.clone().unwrap_or_default(),
        normal(subject::written(&mail.subject)),
        normal(&material.text),
        digests.join(" "),
    ];
    let mut whole = Vec::new();
    for part in parts {
        whole.extend_from_slice(&(part.len() as u64).to_be_bytes());
        whole.extend_from_slice(part.as_bytes());
    }
    Some(sha256(&whole))
}
