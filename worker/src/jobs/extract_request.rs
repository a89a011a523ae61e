//! Reads a recorded mail with the language model and makes of it what it is: a draft quote, a quote for a person to
//! look at, or nothing.

mod attachments;
mod conversation;
mod fingerprint;
mod question;
mod verdict;

use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::database::StoreError;
use postrider_shared::ids::{MailId, MessageId, QuoteId, TenantId};
use postrider_shared::jobs::{ExtractRequest, PriceQuote};
use postrider_shared::mail::{InboundMail, Intent, MailState, Reading, Settled};
use postrider_shared::quotes::{Amended, Amendment, Answered, CreatedQuote, NewQuote, Quote, QuoteState, Repeat};
use serde_json::json;

use self::conversation::Conversation;
use self::question::{Material, Sender};
use self::verdict::Verdict;
use crate::context::Context;
use crate::mail::{Author, Mail};
use crate::providers::llm::LlmError;
use crate::registry::Handler;

/// How often an answer of a wrong shape is asked for again before a person reads the mail.
const SHAPE_ATTEMPTS: u32 = 3;

impl Handler for ExtractRequest {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = ctx.tenant()?;
        let record = ctx.mail.get(tenant, self.mail_id).await?;
        if record.state != MailState::Received {
            return settled(ctx, &record).await;
        }
        let memory = ctx.mail_memory.reserve(tenant, record.size.unsigned_abs()).await;
        let raw = ctx.objects.get(&record.raw_key).await?;
        let mail = Mail::parse_apart(raw.clone()).await?;
        let sender = match sender(ctx, tenant, &record, &mail).await? {
            Ok(sender) => sender,
            Err(reason) => {
                let reading = Reading { intent: Some(Intent::NotARequest), ..Reading::default() };
                return ignore(ctx, tenant, &record, reading, reason).await;
            }
        };
        conversation::await_turn(ctx, &record).await?;
        let conversation = Conversation::of(ctx, tenant, &record).await?;
        if let Some(conversation) = conversation.as_ref().filter(|conversation| !conversation.answers_newest()) {
            conversation::await_reply(ctx, &record, &conversation.quote)?;
        }
        let files = attachments::gather(ctx, tenant, &record, raw).await?;
        drop(memory);
        let material = Material::gather(ctx, tenant, &record, mail, sender, files, conversation).await?;
        if let Some(fingerprint) = fingerprint::of(&material)
            && let Some(Repeat::Of(original, quote)) = ctx.quotes.repeats(&record, &fingerprint).await?
        {
            return repeated(ctx, &record, (original, quote), Reading::default()).await;
        }
        let verdict = match ctx.llm.ask(&material.question()).await {
            Ok(answer) => verdict::of(&material, &answer),
            Err(error) if for_a_person(&error, ctx.job.attempt) => verdict::unread(&material, &error),
            Err(error) => return Err(error.into()),
        };
        match verdict {
            Verdict::Person { reading, reason } => refer(ctx, &material, reading, &reason).await,
            Verdict::Decide(answered) => decide(ctx, &material, answered).await,
            Verdict::Amend(amendment) => amend(ctx, &material, *amendment).await,
            Verdict::Ignore { reading, reason } => ignore(ctx, tenant, &record, reading, &reason).await,
            Verdict::Repeat { of, reading, otherwise } => match ctx.quotes.repeat_of(tenant, of).await? {
                Some(Repeat::Of(original, quote)) => repeated(ctx, &record, (original, quote), reading).await,
                Some(Repeat::Doubtful(doubt)) => {
                    create(ctx, tenant, NewQuote { review: Some(doubt), ..*otherwise }).await
                }
                None => {
                    conversation::await_other(ctx, &record, &ctx.mail.get(tenant, of).await?)?;
                    create(ctx, tenant, *otherwise).await
                }
            },
            Verdict::Quote(quote) => create(ctx, tenant, *quote).await,
        }
    }
}

/// Whom an answer goes to, or why there is none: answering machines or ourselves begins a conversation that never ends.
async fn sender(
    ctx: &Context,
    tenant: TenantId,
    record: &InboundMail,
    mail: &Mail,
) -> Result<Result<Sender, &'static str>, Stop> {
    let Some(account) = ctx.accounts.if_connected(tenant, record.account_id).await? else {
        return Ok(Err("its mailbox was disconnected before it was read"));
    };
    if is_in_our_ledger(ctx, tenant, mail).await? {
        return Ok(Err("a mail of ours that came back"));
    }
    let answer_to = mail.answer_to(&account.address).map(str::to_owned);
    Ok(match mail.author(&account.address) {
        Author::Person => Ok(Sender { answer_to, doubt: None }),
        Author::Doubtful(doubt) => Ok(Sender { answer_to, doubt: Some(doubt) }),
        Author::Machine(reason) => Err(reason),
    })
}

/// Whether the mail has a Message-ID that we gave: its marks may have got lost on the way.
async fn is_in_our_ledger(ctx: &Context, tenant: TenantId, mail: &Mail) -> Result<bool, Stop> {
    let local = mail.message_id.as_deref().and_then(|id| id.split('@').next());
    let Some(id) = local.and_then(|local| local.parse::<MessageId>().ok()) else { return Ok(false) };
    match ctx.messages.get(tenant, id).await {
        Ok(message) => Ok(mail.message_id.as_deref() == Some(message.rfc_message_id.as_str())),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What no later attempt mends, or not within reason: the mail is read by a person instead.
fn for_a_person(error: &LlmError, attempt: u32) -> bool {
    match error {
        LlmError::Rejected { .. } | LlmError::Refused { .. } => true,
        LlmError::Cut | LlmError::Malformed { .. } | LlmError::NotInSchema { .. } => attempt >= SHAPE_ATTEMPTS,
        LlmError::Busy { .. }
        | LlmError::RateLimited { .. }
        | LlmError::QuotaExhausted { .. }
        | LlmError::Misconfigured { .. }
        | LlmError::Server { .. }
        | LlmError::Network { .. }
        | LlmError::Timeout
        | LlmError::Request { .. } => false,
    }
}

/// What the mail came to, by whichever run: one that lost its lease may have made a quote and been refused with the job that was to
/// follow, so whoever finds the mail settled sees to that job. It is enqueued once, because its id follows from the quote.
async fn settled(ctx: &Context, mail: &InboundMail) -> Outcome {
    match mail.state {
        MailState::Extracted => {
            let quote = mail.quote_id.unwrap_or_else(|| QuoteId::of(mail.id));
            follow(ctx, &ctx.quotes.get(mail.tenant_id, quote).await?)
        }
        MailState::Received | MailState::NeedsReview | MailState::Resolved | MailState::Ignored | MailState::Failed => {
            Ok(Done::with(json!({ "mail": mail.state })))
        }
    }
}

async fn ignore(ctx: &Context, tenant: TenantId, record: &InboundMail, reading: Reading, reason: &str) -> Outcome {
    let intent = reading.intent;
    if let Settled::Before(mail) = ctx.mail.ignored(tenant, record.id, reading, reason).await? {
        return settled(ctx, &mail).await;
    }
    Ok(Done::with(json!({ "mail_id": record.id, "mail": MailState::Ignored, "intent": intent, "reason": reason })))
}

async fn create(ctx: &Context, tenant: TenantId, quote: NewQuote) -> Outcome {
    match ctx.quotes.create(tenant, quote).await? {
        CreatedQuote::New(quote) | CreatedQuote::Exists(quote) => follow(ctx, &quote),
        CreatedQuote::Repeats(quote) => Ok(repeats(quote.id)),
    }
}

/// The mail says again what was said before: whoever sent it gets the one answer.
async fn repeated(ctx: &Context, mail: &InboundMail, original: (MailId, QuoteId), reading: Reading) -> Outcome {
    if let Settled::Before(mail) = ctx.quotes.repeated(mail.tenant_id, mail.id, original, reading).await? {
        return settled(ctx, &mail).await;
    }
    Ok(repeats(original.1))
}

fn repeats(quote: QuoteId) -> Done {
    Done::with(json!({ "mail": MailState::Ignored, "intent": Intent::Duplicate, "quote_id": quote }))
}

/// Leaves the mail to a person, with a word in the history of the quote that it is about.
async fn refer(ctx: &Context, material: &Material, reading: Reading, reason: &str) -> Outcome {
    let (tenant, mail) = (material.tenant.id, material.record.id);
    let quote = material.conversation.as_ref().map(|conversation| conversation.quote.id);
    if let Settled::Before(mail) = ctx.quotes.refer(tenant, mail, quote, reading, reason).await? {
        return settled(ctx, &mail).await;
    }
    Ok(Done::with(json!({ "mail_id": mail, "mail": MailState::NeedsReview, "reason": reason })))
}

async fn amend(ctx: &Context, material: &Material, amendment: Amendment) -> Outcome {
    let reading = amendment.reading.clone();
    let amended = ctx.quotes.amend(material.tenant.id, amendment).await?;
    if let Amended::Refused(quote) = &amended {
        conversation::await_reply(ctx, &material.record, quote)?;
    }
    conclude(ctx, material, reading, amended).await
}

async fn decide(ctx: &Context, material: &Material, answered: Answered) -> Outcome {
    let reading = answered.reading.clone();
    let amended = ctx.quotes.answer(material.tenant.id, answered).await?;
    conclude(ctx, material, reading, amended).await
}

async fn conclude(ctx: &Context, material: &Material, reading: Reading, amended: Amended) -> Outcome {
    match amended {
        Amended::Done(quote) => follow(ctx, &quote),
        Amended::Repeats(quote) => Ok(repeats(quote.id)),
        Amended::Doubtful(doubt) => refer(ctx, material, reading, &doubt).await,
        Amended::Stale(_) => Err(Stop::snooze(ctx.clock.now(), "the quote changed while the mail was read")),
        Amended::Overtaken(_) => {
            refer(ctx, material, reading, "a mail that was written later has changed or decided the quote already")
                .await
        }
        Amended::Refused(quote) => {
            let reason = format!("the quote is {}: {}", quote.state, quote.state.way_out());
            refer(ctx, material, reading, &reason).await
        }
    }
}

/// A draft goes on by itself; anything else waits for somebody or is further already.
fn follow(ctx: &Context, quote: &Quote) -> Outcome {
    let done = Done::with(json!({ "quote_id": quote.id, "quote": quote.state, "reason": quote.reason }));
    if quote.state != QuoteState::Draft {
        return Ok(done);
    }
    let parts = ["price", &quote.id.to_string(), &quote.revision.to_string()];
    Ok(done.then(ctx.follow_up(&PriceQuote { quote_id: quote.id }, &parts)?))
}
