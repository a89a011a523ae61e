//! What is known when the model is asked, and the question made of it.

use chrono::TimeDelta;
use postrider_queue::Stop;
use postrider_shared::attachments::{Attachment, AttachmentState};
use postrider_shared::ids::{TenantId, ThreadId};
use postrider_shared::mail::InboundMail;
use postrider_shared::products::Product;
use postrider_shared::quotes::{DimensionValue, QuoteLine};
use postrider_shared::tenants::Tenant;

use super::attachments::Files;
use super::conversation::Conversation;
use crate::context::Context;
use crate::mail::{Mail, Split, split};
use crate::providers::llm::{
    Earlier, KnownAttachment, KnownDimension, KnownMaterial, KnownProduct, MailText, OfferedDimension, OfferedLine,
    OfferedQuote, Question, ShownPicture,
};

/// Earlier mails of a thread that are shown, and of its sender elsewhere.
const EARLIER: u64 = 5;
/// How old the latter may be: what is older nobody repeats by mistake.
const EARLIER_DAYS: TimeDelta = TimeDelta::days(30);
/// Characters of each.
const SUMMARY_CHARS: usize = 1_000;
/// Characters of all attachments of a mail together; a row or line is shown whole or not at all.
pub(super) const FILE_CHARS: usize = 40_000;

/// Who is answered.
pub(super) struct Sender {
    pub(super) answer_to: Option<String>,
    /// Why a person must look before an answer goes out, if so.
    pub(super) doubt: Option<&'static str>,
}

/// A mail with all that belongs to reading it.
pub(super) struct Material {
    pub(super) tenant: Tenant,
    pub(super) record: InboundMail,
    pub(super) mail: Mail,
    pub(super) sender: Sender,
    pub(super) files: Files,
    /// What is shown of each of them.
    excerpts: Vec<String>,
    /// What the mail newly says.
    pub(super) text: String,
    pub(super) products: Vec<Product>,
    /// Those of the thread, then those of the sender, newest first.
    pub(super) earlier: Vec<InboundMail>,
    /// What the mail continues.
    pub(super) conversation: Option<Conversation>,
}

impl Material {
    pub(super) async fn gather(
        ctx: &Context,
        tenant: TenantId,
        record: &InboundMail,
        mail: Mail,
        sender: Sender,
        files: Files,
        conversation: Option<Conversation>,
    ) -> Result<Self, Stop> {
        let Split { new, .. } = split(&mail.text, mail.is_reply());
        let mut earlier = ctx.mail.earlier(tenant, record.thread_id, record.created_at, EARLIER).await?;
        earlier.extend(ctx.mail.earlier_of_sender(record, record.created_at - EARLIER_DAYS, EARLIER).await?);
        Ok(Self {
            excerpts: files.excerpts(FILE_CHARS),
            files,
            tenant: ctx.tenants.get(tenant).await?,
            products: ctx.products.offered(tenant).await?,
            earlier,
            record: record.clone(),
            text: new,
            mail,
            conversation,
            sender,
        })
    }

    /// The question to the model.
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            products: self.products.iter().map(known).collect(),
            earlier: self.earlier.iter().enumerate().rev().map(|at| summary(at, self.record.thread_id)).collect(),
            quote: self.conversation.as_ref().map(offered),
            mail: MailText {
                // Of what a form sent, the person who filled it in.
                from: self.sender.answer_to.as_deref().unwrap_or(&self.record.from_address),
                subject: &self.mail.subject,
                sent_at: self.mail.sent_at,
                text: &self.text,
                is_reply: self.mail.is_reply(),
            },
            pictures: self
                .files
                .pictures
                .iter()
                .map(|picture| ShownPicture { media_type: &picture.media_type, content: &picture.content })
                .collect(),
            attachments: self
                .files
                .known
                .iter()
                .zip(&self.excerpts)
                .map(|(file, text)| attachment(file, text))
                .collect(),
        }
    }

    /// The earlier mail that an answer names.
    pub(super) fn named(&self, id: &str) -> Option<&InboundMail> {
        self.earlier.iter().enumerate().find(|(at, _)| label(*at) == id.trim()).map(|(_, mail)| mail)
    }

    /// What of the mail's files nobody saw, one sentence each.
    pub(super) fn unseen(&self) -> Vec<String> {
        let mut unseen = self.files.problems();
        let whole =
            self.files.known.iter().map(|file| file.text.lines().map(|line| line.chars().count() + 1).sum::<usize>());
        if whole.sum::<usize>() > FILE_CHARS {
            unseen.push(format!("the attachments have more than {FILE_CHARS} characters, so not all was read"));
        }
        unseen
    }

    /// Whether the model was shown pictures.
    pub(super) fn saw_pictures(&self) -> bool {
        !self.files.pictures.is_empty()
    }

    /// What an excerpt may be taken from.
    pub(super) fn shown(&self) -> String {
        format!("{}\n{}\n{}", self.mail.subject, self.text, self.excerpts.join("\n"))
    }
}

fn known(product: &Product) -> KnownProduct<'_> {
    KnownProduct {
        sku: &product.sku,
        name: &product.name,
        aliases: &product.aliases.0,
        dimensions: product
            .dimensions
            .0
            .iter()
            .map(|dimension| KnownDimension {
                name: &dimension.name,
                unit: &dimension.unit,
                aliases: &dimension.aliases,
            })
            .collect(),
        materials: product
            .materials
            .0
            .iter()
            .map(|material| KnownMaterial { code: &material.code, name: &material.name, aliases: &material.aliases })
            .collect(),
        unit_label: &product.unit_label,
    }
}

fn offered(conversation: &Conversation) -> OfferedQuote<'_> {
    fn line(line: &QuoteLine) -> OfferedLine<'_> {
        OfferedLine {
            line: line.position,
            sku: &line.sku,
            name: &line.description,
            quantity: line.quantity.0.normalize().to_string(),
            material: line.material.as_deref(),
            dimensions: line.dimensions.0.iter().map(dimension).collect(),
        }
    }
    OfferedQuote { state: conversation.quote.state.as_str(), lines: conversation.lines.iter().map(line).collect() }
}

fn dimension(given: &DimensionValue) -> OfferedDimension<'_> {
    OfferedDimension { name: &given.name, value: given.value.normalize().to_string(), unit: &given.unit }
}

fn attachment<'a>(file: &'a Attachment, text: &'a str) -> KnownAttachment<'a> {
    let is_read = file.state == AttachmentState::Read;
    KnownAttachment {
        name: &file.name,
        kind: file.kind.as_deref(),
        text: is_read.then_some(text),
        not_read: if is_read { None } else { Some(file.reason.as_deref().unwrap_or("it is a picture")) },
    }
}

fn label(at: usize) -> String {
    format!("m{}", at + 1)
}

fn summary((at, mail): (usize, &InboundMail), thread: ThreadId) -> Earlier<'_> {
    let text = split(&mail.text, mail.in_reply_to.is_some()).new;
    Earlier {
        id: label(at),
        from: &mail.from_address,
        elsewhere: mail.thread_id != thread,
        subject: &mail.subject,
        sent_at: mail.sent_at,
        summary: text.chars().take(SUMMARY_CHARS).collect(),
    }
}
