//! Conversations: which mails, in and out, belong together.

use axum::extract::State;
use chrono::{DateTime, Utc};
use postrider_shared::ids::{AccountId, ThreadId};
use postrider_shared::mail;
use postrider_shared::messages::MessageFilter;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::mails::Mail;
use super::messages::Message;
use crate::app::App;
use crate::auth::Tenant;
use crate::json::Json;
use crate::page::{MAX_LIMIT, Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::Answer;

/// The operations on threads.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Thread {
    /// Its id.
    id: ThreadId,
    /// The mailbox it is held in.
    account_id: AccountId,
    /// The subject of its first mail.
    subject: String,
    /// When it began.
    created_at: DateTime<Utc>,
}

impl From<mail::Thread> for Thread {
    fn from(row: mail::Thread) -> Self {
        Self { id: row.id, account_id: row.account_id, subject: row.subject, created_at: row.created_at }
    }
}

/// A conversation with what was said in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ThreadContent {
    /// The conversation.
    thread: Thread,
    /// Mails that came in, oldest first; the last 200.
    mails: Vec<Mail>,
    /// Messages that went out, or are to, oldest first; the last 200.
    messages: Vec<Message>,
}

/// List the tenant's threads.
#[utoipa::path(
    get, path = "/threads", tag = "threads", operation_id = "list_threads",
    params(PageQuery),
    responses((status = 200, description = "Threads, newest first.", body = Page<Thread>)),
    security(("api_key" = ["mails:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<Thread>>> {
    let page = app.stores().mail.threads(tenant, query.place()?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Get a thread with its mails and messages.
#[utoipa::path(
    get, path = "/threads/{id}", tag = "threads", operation_id = "get_thread",
    params(("id" = ThreadId, Path, description = "The thread's id.")),
    responses((status = 200, description = "The thread.", body = ThreadContent)),
    security(("api_key" = ["mails:read"]))
)]
async fn get(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<ThreadId>) -> Answer<Json<ThreadContent>> {
    let thread = app.stores().mail.thread(tenant, id).await?;
    let mails = app.stores().mail.of_thread(tenant, id).await?;
    let filter = MessageFilter { thread_id: Some(id), ..MessageFilter::default() };
    let mut messages = app.stores().messages.list(tenant, filter, None, MAX_LIMIT.into()).await?.items;
    messages.reverse();
    Ok(Json(ThreadContent {
        thread: thread.into(),
        mails: mails.into_iter().map(Into::into).collect(),
        messages: messages.into_iter().map(Into::into).collect(),
    }))
}
