//! What is known when the model is asked, and the question made of it.

use postrider_queue::Stop;
use postrider_shared::ids::TenantId;
use postrider_shared::mail::InboundMail;
use postrider_shared::products::Product;
use postrider_shared::tenants::Tenant;

use crate::context::Context;
use crate::mail::{Mail, Split, split};
use crate::providers::llm::{Earlier, KnownDimension, KnownMaterial, KnownProduct, MailText, Question};

/// Earlier mails of a thread that are shown.
const EARLIER: u64 = 5;
/// Characters of each.
const SUMMARY_CHARS: usize = 1_000;

/// A mail with all that belongs to reading it.
pub(super) struct Material {
    pub(super) tenant: Tenant,
    pub(super) record: InboundMail,
    pub(super) mail: Mail,
    /// What the mail newly says.
    pub(super) text: String,
    pub(super) products: Vec<Product>,
    /// Newest first.
    pub(super) earlier: Vec<InboundMail>,
}

impl Material {
    pub(super) async fn gather(
        ctx: &Context,
        tenant: TenantId,
        record: &InboundMail,
        mail: Mail,
    ) -> Result<Self, Stop> {
        let Split { new, quoted: _ } = split(&mail.text, mail.is_reply());
        Ok(Self {
            tenant: ctx.tenants.get(tenant).await?,
            products: ctx.products.offered(tenant).await?,
            earlier: ctx.mail.earlier(tenant, record.thread_id, record.created_at, EARLIER).await?,
            record: record.clone(),
            text: new,
            mail,
        })
    }

    /// The question to the model.
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            products: self.products.iter().map(known).collect(),
            earlier: self.earlier.iter().rev().map(summary).collect(),
            mail: MailText {
                from: &self.record.from_address,
                subject: &self.mail.subject,
                sent_at: self.mail.sent_at,
                text: &self.text,
                is_reply: self.mail.is_reply(),
            },
        }
    }

    /// What an excerpt may be taken from.
    pub(super) fn shown(&self) -> String {
        format!("{}\n{}", self.mail.subject, self.text)
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

fn summary(mail: &InboundMail) -> Earlier<'_> {
    let text = split(&mail.text, mail.in_reply_to.is_some()).new;
    Earlier { subject: &mail.subject, sent_at: mail.sent_at, summary: text.chars().take(SUMMARY_CHARS).collect() }
}
