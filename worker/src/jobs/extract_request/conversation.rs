//! The quote that a mail continues, if it continues one, and when the mail's turn is.

use chrono::TimeDelta;
use postrider_queue::Stop;
use postrider_shared::accounts::identity_of;
use postrider_shared::ids::TenantId;
use postrider_shared::mail::{InboundMail, MailState};
use postrider_shared::quotes::{Quote, QuoteLine, QuoteState};

use crate::context::Context;

/// How long a mail waits for those that came before it in its thread: one of them may be stuck.
const PATIENCE_FOR_OTHERS: TimeDelta = TimeDelta::minutes(10);
/// How long a mail waits for a reply that is on its way. A person looks at what takes longer, such as a cap that is reached.
const PATIENCE_FOR_REPLY: TimeDelta = TimeDelta::hours(1);
/// The first wait and the longest; each is twice as long as the one before.
const FIRST_WAIT: TimeDelta = TimeDelta::milliseconds(500);
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(1);

/// A quote and what a mail has to do with it.
pub(super) struct Conversation {
    pub(super) quote: Quote,
    pub(super) lines: Vec<QuoteLine>,
    /// The revision whose message the mail answers, if it names one.
    pub(super) answered: Option<u32>,
    /// Whether it comes from whom the quote is for.
    pub(super) is_customers: bool,
}

impl Conversation {
    /// The quote of the message that the mail answers, else the thread's newest one that is still open, else its newest one.
    pub(super) async fn of(ctx: &Context, tenant: TenantId, mail: &InboundMail) -> Result<Option<Self>, Stop> {
        let quotes = ctx.quotes.of_thread(tenant, mail.thread_id).await?;
        let related: Vec<&String> = mail.in_reply_to.iter().chain(mail.references.0.iter().rev()).collect();
        // Of what the mail names, the nearest relative counts.
        let mut nearest: Option<(usize, &Quote, u32)> = None;
        for quote in &quotes {
            for (revision, ids) in ctx.quotes.carriers(quote).await? {
                let place = related.iter().position(|named| ids.contains(*named));
                if let Some(place) = place
                    && nearest.is_none_or(|(best, ..)| place < best)
                {
                    nearest = Some((place, quote, revision));
                }
            }
        }
        let open = quotes.iter().find(|quote| quote.state != QuoteState::Accepted).or_else(|| quotes.first());
        let named = nearest.map(|(_, quote, revision)| (quote, Some(revision)));
        let Some((quote, answered)) = named.or_else(|| open.map(|quote| (quote, None))) else { return Ok(None) };
        let lines = ctx.quotes.lines(tenant, quote.id).await?;
        let is_customers = identity_of(&quote.customer_address) == identity_of(&mail.from_address);
        Ok(Some(Self { quote: quote.clone(), lines, answered, is_customers }))
    }

    /// Whether the customer has what the quote offers now.
    pub(super) fn answers_newest(&self) -> bool {
        self.answered == Some(self.quote.revision())
    }
}

/// Mails of a thread are read in the order in which they came, so that none undoes a later one.
pub(super) async fn await_turn(ctx: &Context, mail: &InboundMail) -> Result<(), Stop> {
    let is_late = ctx.clock.now() - mail.created_at > PATIENCE_FOR_OTHERS;
    if !is_late && ctx.mail.is_preceded(mail).await? {
        return Err(wait(ctx, "an earlier mail of the thread is still to be read"));
    }
    Ok(())
}

/// What a mail repeats comes first.
pub(super) fn await_other(ctx: &Context, mail: &InboundMail, other: &InboundMail) -> Result<(), Stop> {
    let is_late = ctx.clock.now() - mail.created_at > PATIENCE_FOR_OTHERS;
    if !is_late && other.state == MailState::Received {
        return Err(wait(ctx, "the mail that it repeats is still to be read"));
    }
    Ok(())
}

/// While a reply is on its way nobody knows what the customer has, unless the mail answers it.
pub(super) fn await_reply(ctx: &Context, mail: &InboundMail, quote: &Quote) -> Result<(), Stop> {
    let on_its_way = matches!(quote.state, QuoteState::Rendered | QuoteState::Sending);
    if on_its_way && ctx.clock.now() - mail.created_at <= PATIENCE_FOR_REPLY {
        return Err(wait(ctx, "the quote's reply is on its way"));
    }
    Ok(())
}

fn wait(ctx: &Context, reason: &str) -> Stop {
    let factor = 1_i32.checked_shl(ctx.job.snoozes.min(16)).unwrap_or(i32::MAX);
    Stop::snooze(ctx.clock.now() + (FIRST_WAIT * factor).min(LONGEST_WAIT), reason)
}
