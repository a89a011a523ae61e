//! The send ledger: what was sent, what was not, and what nobody knows.

use axum::extract::State;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use postrider_shared::ids::{AccountId, MessageId, QuoteId, ThreadId};
use postrider_shared::mail::Settled;
use postrider_shared::messages::{self, MessageFilter, MessageState, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Tenant;
use crate::idempotency::Once;
use crate::json::Json;
use crate::page::{Limit, Page, place};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem, ProblemType};

/// How far what a person reads off a clock may be from when it was.
const ROUNDED: TimeDelta = TimeDelta::minutes(5);
/// Characters of a reason.
const LONGEST_REASON: usize = 2_000;

/// The operations on messages.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(settle))
}

/// An outgoing message.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    /// Its id.
    id: MessageId,
    /// The mailbox it goes out of.
    account_id: AccountId,
    /// The quote it carries.
    quote_id: Option<QuoteId>,
    /// The conversation it belongs to.
    thread_id: Option<ThreadId>,
    /// Where it goes.
    to_address: String,
    /// Its subject.
    subject: String,
    /// Its Message-ID, the same in every attempt, without angle brackets.
    rfc_message_id: String,
    /// The Message-ID it answers.
    in_reply_to: Option<String>,
    /// The Message-IDs before it, oldest first.
    references: Vec<String>,
    /// What it says.
    body_text: String,
    /// What its attachment is called.
    attachment_name: Option<String>,
    /// Where it is in its life. `unknown`: the server may have taken it, and it is not sent again by itself. `failed`: it was not
    /// sent; if that is because its job is a dead letter, a redrive of that sends it, and meanwhile it is `sending` again.
    state: MessageState,
    /// How often its sending was tried.
    attempt: i32,
    /// When the mail server took it.
    accepted_at: Option<DateTime<Utc>>,
    /// What the mail server called it.
    provider_id: Option<String>,
    /// Why it failed, was skipped or is in doubt.
    reason: Option<String>,
    /// When it was planned.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl From<messages::Message> for Message {
    fn from(row: messages::Message) -> Self {
        Self {
            id: row.id,
            account_id: row.account_id,
            quote_id: row.quote_id,
            thread_id: row.thread_id,
            to_address: row.to_address,
            subject: row.subject,
            rfc_message_id: row.rfc_message_id,
            in_reply_to: row.in_reply_to,
            references: row.references.0,
            body_text: row.body_text,
            attachment_name: row.attachment_name,
            state: row.state,
            attempt: row.attempt,
            accepted_at: row.accepted_at,
            provider_id: row.provider_id,
            reason: row.reason,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MessagesQuery {
    /// Only messages in this state.
    state: Option<MessageState>,
    /// Only messages of this mailbox.
    #[param(value_type = Option<uuid::Uuid>)]
    account_id: Option<AccountId>,
    /// Only messages that carry this quote.
    #[param(value_type = Option<uuid::Uuid>)]
    quote_id: Option<QuoteId>,
    /// Only messages of this conversation.
    #[param(value_type = Option<uuid::Uuid>)]
    thread_id: Option<ThreadId>,
    /// `next_cursor` of the page before; absent for the first page.
    cursor: Option<String>,
    /// Most items in the answer.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
}

/// List the tenant's outgoing messages.
#[utoipa::path(
    get, path = "/messages", tag = "messages", operation_id = "list_messages",
    params(MessagesQuery),
    responses((status = 200, description = "Messages, newest first.", body = Page<Message>)),
    security(("api_key" = ["messages:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<MessagesQuery>,
) -> Answer<Json<Page<Message>>> {
    let cursor = place(query.cursor.as_deref())?;
    let filter = MessageFilter {
        state: query.state,
        account_id: query.account_id,
        quote_id: query.quote_id,
        thread_id: query.thread_id,
    };
    let page = app.stores().messages.list(tenant, filter, cursor, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Get an outgoing message.
#[utoipa::path(
    get, path = "/messages/{id}", tag = "messages", operation_id = "get_message",
    params(("id" = MessageId, Path, description = "The message's id.")),
    responses((status = 200, description = "The message.", body = Message)),
    security(("api_key" = ["messages:read"]))
)]
async fn get(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<MessageId>) -> Answer<Json<Message>> {
    Ok(Json(app.stores().messages.get(tenant, id).await?.into()))
}

/// What a person found out about a message in doubt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// What became of it.
    outcome: Outcome,
    /// When the mail server took it: after it was begun to send it, and not in the future; now if absent.
    accepted_at: Option<DateTime<Utc>>,
    /// How the person knows; kept with a message that failed.
    #[schema(max_length = 2000)]
    reason: Option<String>,
}

/// What became of a message in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The recipient has it.
    Accepted,
    /// The recipient has it not, and will not get it.
    Failed,
}

/// Settle a message in doubt.
///
/// For a message in state `unknown`, whose answer was lost after its data had started: look into the mailbox's Sent folder
/// or ask the recipient, and say what became of it. It is never sent again.
#[utoipa::path(
    post, path = "/messages/{id}/settle", tag = "messages", operation_id = "settle_message",
    params(("id" = MessageId, Path, description = "The message's id.")),
    request_body = Settlement,
    responses((status = 200, description = "The message, settled.", body = Message)),
    security(("api_key" = ["messages:write"]))
)]
async fn settle(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    once: Once,
    Path(id): Path<MessageId>,
    Json(settlement): Json<Settlement>,
) -> Answer<Json<Message>> {
    let message = app.stores().messages.get(tenant, id).await?;
    if once.is_done() {
        return Ok(Json(message.into()));
    }
    if !matches!(message.state, MessageState::Unknown | MessageState::UnknownFinal) {
        return Err(not_in_doubt(message.state));
    }
    settlement.reason.as_deref().map(must_be_a_reason).transpose()?;
    let verdict = match settlement.outcome {
        Outcome::Accepted => Verdict::Accepted {
            at: accepted_at(&message, settlement.accepted_at, app.clock().now())?,
            provider_id: message.provider_id.clone(),
        },
        Outcome::Failed => Verdict::Failed {
            reason: settlement.reason.unwrap_or_else(|| "settled by a person: it did not arrive".to_owned()),
        },
    };
    match app.stores().messages.settle(tenant, id, message.attempt(), verdict).await? {
        Settled::Now(message) => Ok(Json(message.into())),
        Settled::Before(message) => Err(not_in_doubt(message.state)),
    }
}

/// When a mail server took the message, as a person says. It decides in which days the message counts for its mailbox's cap, so it is no
/// time at which that cannot have been; what is a little beside is put right, because clocks and minutes are.
fn accepted_at(message: &messages::Message, said: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Answer<DateTime<Utc>> {
    let Some(at) = said else { return Ok(now) };
    let began = message.data_started_at.or(message.attempt_started_at).unwrap_or(message.created_at);
    if at < began - ROUNDED || at > now + ROUNDED {
        let began = began.to_rfc3339_opts(SecondsFormat::Secs, true);
        let detail = format!("It was begun to send the message at {began}: give a time from then to now.");
        return Err(Problem::field("/accepted_at", detail));
    }
    Ok(at.max(began).min(now))
}

fn must_be_a_reason(text: &str) -> Answer<()> {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().count() <= LONGEST_REASON && !text.contains(is_odd) {
        return Ok(());
    }
    let detail = format!("reason may have {LONGEST_REASON} characters, and of control characters line breaks only.");
    Err(Problem::field("/reason", detail))
}

fn not_in_doubt(state: MessageState) -> Problem {
    Problem::new(ProblemType::StateConflict, format!("The message is not in doubt: it is {state}."))
}
