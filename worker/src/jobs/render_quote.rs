//! Makes the PDF of a priced quote and plans the reply that carries it.

use std::str::FromStr;

use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::accounts::Account;
use postrider_shared::ids::MessageId;
use postrider_shared::jobs::{RenderQuote, SendEmail};
use postrider_shared::language::Language;
use postrider_shared::mail::InboundMail;
use postrider_shared::messages::PlannedMessage;
use postrider_shared::objects::{ObjectError, quote_pdf_key};
use postrider_shared::pricing::{Currency, Totals};
use postrider_shared::quotes::{DecisionLink, Quote, QuoteLine, QuoteState, RenderedQuote, Step};
use postrider_shared::tenants::Tenant;
use serde_json::json;

use crate::context::Context;
use crate::registry::Handler;
use crate::render::{self, Customer, LineDimension, Logo, QuoteDocument, Sender};
use crate::reply;

/// How often a quote is put off because its logo cannot be read.
const LOGO_ATTEMPTS: u32 = 4;

impl Handler for RenderQuote {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = ctx.tenant()?;
        let quote = ctx.quotes.get(tenant, self.quote_id).await?;
        let Some(account) = ctx.accounts.if_connected(tenant, quote.account_id).await? else {
            let step = ctx.quotes.fail(tenant, quote.id, self.revision, "its mailbox was disconnected").await?;
            let (Step::Taken(quote) | Step::NotTaken(quote)) = step;
            return Ok(Done::with(json!({ "quote_id": quote.id, "quote": quote.state, "reason": quote.reason })));
        };
        if quote.revision() != self.revision || quote.state != QuoteState::Priced {
            return follow(ctx, &quote, &account, self.revision).await;
        }
        let mail = ctx.mail.get(tenant, quote.mail_id).await?;
        let owner = ctx.tenants.get(tenant).await?;
        let lines = ctx.quotes.lines(tenant, quote.id).await?;
        let number = ctx.quotes.number(tenant, quote.id).await?;
        let document = document(ctx, &owner, &quote, &lines, &mail, number.clone()).await?;
        let pdf = tokio::task::spawn_blocking(move || render::pdf(&document)).await;
        let pdf = pdf.map_err(|error| Stop::retry(format_args!("rendering was cut off: {error}")))?;
        let pdf = match pdf {
            Ok(pdf) => pdf,
            Err(error) => {
                ctx.quotes.fail(tenant, quote.id, self.revision, &error.to_string()).await?;
                return Err(Stop::fail(error));
            }
        };
        let pdf_key = quote_pdf_key(tenant, quote.id, self.revision, &pdf);
        ctx.objects.put(&pdf_key, pdf).await?;
        // The customer may have written since.
        let newest = ctx.mail.newest_from(tenant, quote.thread_id, &quote.customer_address).await?.unwrap_or(mail);
        let message = planned(ctx, &owner, &account, &quote, &newest, &number, &pdf_key)?;
        let step = ctx.quotes.render(tenant, quote.id, self.revision, RenderedQuote { pdf_key, message }).await?;
        match step {
            Step::Taken(quote) | Step::NotTaken(quote) => follow(ctx, &quote, &account, self.revision).await,
        }
    }
}

async fn follow(ctx: &Context, quote: &Quote, account: &Account, revision: u32) -> Outcome {
    let done = Done::with(json!({ "quote_id": quote.id, "quote": quote.state, "number": quote.number }));
    if quote.revision() != revision || quote.state != QuoteState::Rendered {
        return Ok(done);
    }
    let message_id = MessageId::of_quote(quote.id, revision);
    let send = SendEmail { message_id, lane: account.transactional_lane() };
    let send = ctx.follow_up(&send, &["send", &message_id.to_string()])?;
    ctx.scopes.define_shares_of([&send]).await?;
    Ok(done.then(send))
}

/// The reply, threaded under the mail that asked. Its Message-ID follows from what it is, so it never changes.
fn planned(
    ctx: &Context,
    owner: &Tenant,
    account: &Account,
    quote: &Quote,
    mail: &InboundMail,
    number: &str,
    pdf_key: &str,
) -> Result<PlannedMessage, Stop> {
    let id = MessageId::of_quote(quote.id, quote.revision());
    let sender = if owner.sender_details.trim().is_empty() { &owner.name } else { &owner.sender_details };
    let valid_until = quote.valid_until.ok_or_else(|| Stop::fail("a priced quote has no last day"))?;
    let link = DecisionLink::new(owner.id, quote.id, quote.revision(), valid_until);
    let link = ctx.links.as_ref().map(|links| links.decision(&link)).transpose().map_err(Stop::retry)?;
    let reply = reply::write(&reply::About {
        language: Language::answering(&quote.language, &owner.language),
        subject: &mail.subject,
        number,
        is_revised: quote.issue > 1,
        valid_until,
        sender,
        link: link.as_deref(),
    });
    Ok(PlannedMessage {
        id,
        account_id: account.id,
        quote_id: Some(quote.id),
        thread_id: Some(quote.thread_id),
        to_address: quote.customer_address.clone(),
        subject: reply.subject,
        rfc_message_id: format!("{id}@{}", account.domain()),
        in_reply_to: mail.rfc_message_id.clone(),
        references: references(mail),
        body_text: reply.text,
        attachment_key: Some(pdf_key.to_owned()),
        attachment_name: Some(reply.attachment),
    })
}

/// The chain of an answer (RFC 5322, 3.6.4): what the mail names, or what it answers if it names nothing, and the mail itself.
fn references(mail: &InboundMail) -> Vec<String> {
    let mut chain = mail.references.0.clone();
    if chain.is_empty() {
        chain.extend(mail.in_reply_to.clone());
    }
    chain.extend(mail.rfc_message_id.clone().filter(|id| !mail.references.0.contains(id)));
    chain
}

async fn document(
    ctx: &Context,
    owner: &Tenant,
    quote: &Quote,
    lines: &[QuoteLine],
    mail: &InboundMail,
    number: String,
) -> Result<QuoteDocument, Stop> {
    let unpriced = || Stop::fail("a priced quote lacks a price");
    let mut shown = Vec::with_capacity(lines.len());
    for line in lines {
        let product = match line.product_id {
            Some(id) => Some(ctx.products.get(owner.id, id).await?),
            None => None,
        };
        shown.push(quote_line(line, product.as_ref()).ok_or_else(unpriced)?);
    }
    let totals = (|| {
        Some(Totals {
            subtotal: quote.subtotal?.0,
            tax_rate: quote.tax_rate?.0,
            tax: quote.tax?.0,
            total: quote.total?.0,
        })
    })();
    Ok(QuoteDocument {
        language: Language::answering(&quote.language, &owner.language),
        currency: Currency::from_str(&quote.currency).map_err(Stop::fail)?,
        number,
        date: owner.time_zone.day_of(ctx.clock.now()),
        valid_until: quote.valid_until.ok_or_else(unpriced)?,
        sender: Sender {
            name: owner.name.clone(),
            details: owner.sender_details.clone(),
            brand_color: owner.brand_color.clone(),
            logo: logo(ctx, owner).await?,
        },
        customer: Customer {
            name: quote.customer_name.clone().or_else(|| mail.from_name.clone()),
            address: quote.customer_address.clone(),
        },
        subject: Some(mail.subject.clone()).filter(|subject| !subject.is_empty()),
        lines: shown,
        totals: totals.ok_or_else(unpriced)?,
        tax_label: owner.tax_label.clone(),
        notes: None,
    })
}

fn quote_line(line: &QuoteLine, product: Option<&postrider_shared::products::Product>) -> Option<render::QuoteLine> {
    let material = line.material.as_ref().map(|code| {
        let known = product.and_then(|product| product.materials.0.iter().find(|material| material.code == *code));
        known.map_or_else(|| code.clone(), |material| material.name.clone())
    });
    let dimension = |dimension: &postrider_shared::quotes::DimensionValue| LineDimension {
        name: dimension.name.clone(),
        value: dimension.value,
        unit: dimension.unit.clone(),
    };
    Some(render::QuoteLine {
        name: line.description.clone(),
        sku: Some(line.sku.clone()),
        description: product.map(|product| product.description.clone()).filter(|text| !text.is_empty()),
        dimensions: line.dimensions.0.iter().map(dimension).collect(),
        material,
        quantity: line.quantity.0,
        unit_label: product.map(|product| product.unit_label.clone()).unwrap_or_default(),
        unit_price: line.unit_price?.0,
        total: line.total?.0,
    })
}

/// A logo that cannot be read is left away: the quote matters more. But first the store may come back, and a logo that was replaced
/// just now is looked up again.
async fn logo(ctx: &Context, owner: &Tenant) -> Result<Option<Logo>, Stop> {
    let Some(key) = &owner.logo_key else { return Ok(None) };
    let file = match ctx.objects.get(key).await {
        Err(ObjectError::NotFound(_)) => match ctx.tenants.get(owner.id).await?.logo_key {
            Some(key) => ctx.objects.get(&key).await,
            None => return Ok(None),
        },
        file => file,
    };
    let file = match file {
        Err(error) if error.is_transient() && ctx.job.attempt < LOGO_ATTEMPTS => return Err(error.into()),
        file => file.map_err(|error| error.to_string()),
    };
    let logo = file.and_then(|file| Logo::new(file.to_vec()).map_err(|error| error.to_string()));
    Ok(logo.inspect_err(|error| tracing::warn!(error, "no logo on the quote")).ok())
}
