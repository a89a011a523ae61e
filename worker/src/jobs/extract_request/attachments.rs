//! A mail's files: kept, looked at by the malware scanner, read. Each is recorded as soon as it is done, so that a run that is
//! cut off goes on with the next one.

use std::time::{Duration, Instant};

use postrider_documents::{Document, ReadError};
use postrider_queue::Stop;
use postrider_shared::attachments::{Attachment, AttachmentState};
use postrider_shared::database::Texts;
use postrider_shared::ids::{AttachmentId, TenantId};
use postrider_shared::mail::InboundMail;
use postrider_shared::objects::attachment_key;

use crate::context::Context;
use crate::documents::Verdict;
use crate::mail::{Attached, File};

/// Files that are begun to be read within this time of a run; the rest is a person's.
const READING_TIME: Duration = Duration::from_secs(60);
/// Pictures of a mail that a model is shown, and bytes of each.
const PICTURES: usize = 5;
const PICTURE_BYTES: i64 = 5 * 1024 * 1024;
/// A scanner that gives no verdict is waited for: this long at a time, and it costs no attempt.
const SCANNER_AWAY: Duration = Duration::from_secs(15);
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What a mail carries, dealt with.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    /// In the mail's order.
    pub(super) known: Vec<Attachment>,
    /// More than are ever looked at.
    pub(super) further: usize,
    /// What some of these are called.
    pub(super) further_names: Vec<String>,
    /// Those that the model is shown.
    pub(super) pictures: Vec<Picture>,
    /// Whether it is shown any.
    pub(super) sees: bool,
}

/// A picture with its content.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) id: AttachmentId,
    pub(super) media_type: String,
    pub(super) content: bytes::Bytes,
}

/// Deals with all files of a mail that were not dealt with before.
pub(super) async fn gather(
    ctx: &Context,
    tenant: TenantId,
    mail: &InboundMail,
    raw: bytes::Bytes,
) -> Result<Files, Stop> {
    let attached = Attached::parse_apart(raw).await?;
    if attached.files.is_empty() {
        return Ok(Files::default());
    }
    let begun = Instant::now();
    let done = ctx.attachments.of_mail(tenant, mail.id).await?;
    for (at, file) in attached.files.iter().enumerate() {
        let position = at + 1;
        if done.iter().any(|row| row.id == AttachmentId::of(mail.id, position)) {
            continue;
        }
        ctx.go_on()?;
        let row = deal_with(ctx, tenant, mail, position, file, begun).await?;
        ctx.attachments.record(row).await?;
    }
    let known = ctx.attachments.of_mail(tenant, mail.id).await?;
    let pictures = if ctx.sees_pictures { pictures(ctx, &known).await? } else { Vec::new() };
    let Attached { further, further_names, .. } = attached;
    Ok(Files { known, further, further_names, pictures, sees: ctx.sees_pictures })
}

/// What a model is shown at most; the rest is a person's.
async fn pictures(ctx: &Context, known: &[Attachment]) -> Result<Vec<Picture>, Stop> {
    let mut pictures = Vec::new();
    let fits = |file: &&Attachment| file.state == AttachmentState::Picture && file.size <= PICTURE_BYTES;
    for file in known.iter().filter(fits).take(PICTURES) {
        let Some(key) = &file.object_key else { continue };
        let content = ctx.objects.get(key).await?;
        pictures.push(Picture { id: file.id, media_type: file.media_type.clone(), content });
    }
    Ok(pictures)
}

async fn deal_with(
    ctx: &Context,
    tenant: TenantId,
    mail: &InboundMail,
    position: usize,
    file: &File,
    begun: Instant,
) -> Result<Attachment, Stop> {
    let sha256 = sha256(&file.content);
    let mut row = Attachment {
        id: AttachmentId::of(mail.id, position),
        tenant_id: tenant,
        mail_id: mail.id,
        position: i32::try_from(position).unwrap_or(i32::MAX),
        name: file.name.clone(),
        kind: None,
        media_type: UNKNOWN_TYPE.to_owned(),
        size: i64::try_from(file.content.len()).unwrap_or(i64::MAX),
        object_key: None,
        sha256,
        state: AttachmentState::Unread,
        reason: None,
        text: String::new(),
        left_out: Texts::default(),
        created_at: ctx.clock.now(),
    };
    let looked = ctx.scanner.scan(&file.content).await;
    let verdict = looked.map_err(|error| Stop::snooze(ctx.clock.now() + SCANNER_AWAY, error))?;
    if let Verdict::Objects(reason) = verdict {
        tracing::warn!(attachment.id = %row.id, mail.id = %row.mail_id, reason, "an attachment was refused");
        row.state = AttachmentState::Refused;
        row.reason = Some(reason);
        return Ok(row);
    }
    let key = attachment_key(tenant, mail.id, &row.sha256);
    ctx.objects.put(&key, file.content.clone()).await?;
    row.object_key = Some(key);
    if begun.elapsed() > READING_TIME {
        row.reason = Some("reading the files before it took too long".to_owned());
        return Ok(row);
    }
    match ctx.documents.read(&file.name, file.content.clone()).await? {
        Ok(document) => read(&mut row, document),
        Err(error) => unread(&mut row, &error),
    }
    Ok(row)
}

fn read(row: &mut Attachment, document: Document) {
    row.kind = Some(document.kind.as_str().to_owned());
    document.kind.media_type().clone_into(&mut row.media_type);
    if document.picture.is_some() {
        row.state = AttachmentState::Picture;
    } else {
        row.state = AttachmentState::Read;
        row.text = document.text();
    }
    row.left_out = Texts(document.left_out);
}

fn unread(row: &mut Attachment, error: &ReadError) {
    tracing::info!(attachment.id = %row.id, mail.id = %row.mail_id, reason = %error, "an attachment was not read");
    row.reason = Some(error.to_string());
}

/// In hexadecimal digits.
pub(super) fn sha256(content: &[u8]) -> String {
    use std::fmt::Write as _;

    use sha2::{Digest as _, Sha256};

    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(content) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Files {
    /// As much of each file's text as is shown to the model, all together at most `most` characters, in whole lines.
    pub(super) fn excerpts(&self, most: usize) -> Vec<String> {
        let mut left = most;
        let excerpt = |file: &Attachment| {
            let mut excerpt = String::new();
            for line in file.text.lines() {
                let Some(rest) = left.checked_sub(line.chars().count() + 1) else {
                    left = 0;
                    break;
                };
                left = rest;
                excerpt.push_str(line);
                excerpt.push('\n');
            }
            excerpt
        };
        self.known.iter().map(excerpt).collect()
    }

    /// What a person must look at because nobody else did, one sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for file in &self.known {
            let name = &file.name;
            match file.state {
                AttachmentState::Read | AttachmentState::Picture if !file.left_out.0.is_empty() => {
                    problems.push(format!("the attachment {name} was not read whole: {}", file.left_out.0.join(", ")));
                }
                AttachmentState::Read => {}
                AttachmentState::Picture if self.pictures.iter().any(|shown| shown.id == file.id) => {}
                AttachmentState::Picture => {
                    problems.push(format!("the picture {name} was not read{}", self.unseen(file)));
                }
                AttachmentState::Unread | AttachmentState::Refused => {
                    let reason = file.reason.as_deref().unwrap_or("no reason is known");
                    problems.push(format!("the attachment {name} was not read: {reason}"));
                }
            }
        }
        if self.further > 0 {
            let names = self.further_names.join(", ");
            let and = if self.further > self.further_names.len() { ", …" } else { "" };
            problems.push(format!("{} more attachments were not looked at: {names}{and}", self.further));
        }
        problems
    }

    /// Why a model that sees was not shown this picture.
    fn unseen(&self, file: &Attachment) -> String {
        if !self.sees {
            String::new()
        } else if file.size > PICTURE_BYTES {
            format!(": it has {} MiB, and at most {} are shown to the model", file.size >> 20, PICTURE_BYTES >> 20)
        } else {
            format!(": at most {PICTURES} pictures of a mail are shown to the model")
        }
    }
}
