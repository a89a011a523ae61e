//! Who changed or saw what. Nothing here changes anything: events are only ever added, by the operations that they tell of.

mod query;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use futures::stream;
use postrider_shared::audit::{self, AuditKind, AuditOutcome};
use postrider_shared::database::{Cursor, MAX_PAGE};
use postrider_shared::ids::TenantId;
use postrider_shared::roles::Permission;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::query::{EventsQuery, ExportQuery};
use crate::app::App;
use crate::auth::{Caller, Standing};
use crate::json::Json;
use crate::page::{Page, place};
use crate::parameters::Query;
use crate::problem::{Answer, Problem, ProblemType};

/// The operations on the audit log.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

/// What somebody changed or saw.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditEvent {
    /// Its id.
    id: Uuid,
    /// When.
    at: DateTime<Utc>,
    /// Whose things it was about; null for the platform's.
    tenant_id: Option<TenantId>,
    /// `key`, `user`, `stranger` (nobody who is signed in), `customer` (by the link in a mail) or `system`.
    #[schema(example = "key")]
    actor_kind: String,
    /// The id of the key or the user.
    actor_id: Option<Uuid>,
    /// What a key was called then, and the start of its text, or the name and address of a user.
    actor_name: Option<String>,
    /// The request's `X-Request-Id`.
    request_id: String,
    /// Where the request came from, if that is known.
    ip: Option<String>,
    /// The operation's id in this document.
    #[schema(example = "change_account")]
    operation: String,
    /// `change`, `access` to data of persons, or `sign_in`.
    kind: AuditKind,
    /// What it was done to, as in the path.
    #[schema(example = "accounts")]
    resource: String,
    /// Which one of them; null for a list.
    subject_id: Option<String>,
    /// What is different, as it was; secrets are left out.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What is different, as it is now; secrets are left out.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// `done`; `attempted`: a change outside the database is recorded before it is begun; or `refused`.
    outcome: AuditOutcome,
    /// How many times. More than once only refusals and what strangers ask for: after the first, those of an hour are counted together.
    times: i32,
}

impl From<audit::AuditEvent> for AuditEvent {
    fn from(row: audit::AuditEvent) -> Self {
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            id: row.id,
            at: row.at,
            tenant_id: row.tenant_id,
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            actor_name: row.actor_name,
            request_id: row.request_id,
            ip: row.ip,
            operation: row.operation,
            kind: row.kind,
            resource: row.resource,
            subject_id: row.subject_id,
            before: json(row.before),
            after: json(row.after),
            outcome: row.outcome,
            times: row.times,
        }
    }
}

/// Whose events a caller sees: those of the tenant that it acts for; all of them, if it runs the platform and names none.
fn tenant_of(caller: Caller) -> Answer<Option<TenantId>> {
    match caller.tenant {
        None if !caller.is_platform() => Err(Problem::new(ProblemType::TenantRequired, "")),
        tenant => Ok(tenant),
    }
}

/// List audit events: a tenant's, or all of them for a platform key that names no tenant.
#[utoipa::path(
    get, path = "/audit-events", tag = "audit", operation_id = "list_audit_events",
    params(EventsQuery),
    responses((status = 200, description = "Events, newest first.", body = Page<AuditEvent>)),
    security(("api_key" = ["audit:read"]))
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<EventsQuery>,
) -> Answer<Json<Page<AuditEvent>>> {
    let filter = query.filter(tenant_of(caller)?);
    let page = app.stores().audit.list(&filter, place(query.cursor.as_deref())?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Export audit events.
///
/// All events of the selection up to this moment, newest first, as one stream: a JSON object on each line, or CSV with a line of names.
/// A stream that breaks off was not all of it; it also does for whoever may no longer see the events.
#[utoipa::path(
    get, path = "/audit-events/export", tag = "audit", operation_id = "export_audit_events",
    params(ExportQuery),
    responses((
        status = 200, description = "Events, newest first.",
        content((String = "application/x-ndjson"), (String = "text/csv"))
    )),
    security(("api_key" = ["audit:read"]))
)]
async fn export(
    State(app): State<App>,
    caller: Caller,
    standing: Standing,
    Query(query): Query<ExportQuery>,
) -> Answer<Response> {
    let format = query.format;
    let now = app.clock().now();
    let mut filter = query.filter(tenant_of(caller)?);
    // What comes in while it is read would never end.
    filter.until = Some(filter.until.map_or(now, |until| until.min(now)));
    let standing = Arc::new(standing);
    let pages = stream::try_unfold(Some((None::<Cursor>, true)), move |place| {
        let (app, filter, standing) = (app.clone(), filter.clone(), Arc::clone(&standing));
        async move {
            let Some((cursor, first)) = place else { return Ok(None) };
            standing.check(&app, Permission::AuditRead).await.map_err(|problem| problem.to_string())?;
            let page = app.stores().audit.list(&filter, cursor, MAX_PAGE).await?;
            let next = page.next.map(|next| (Some(next), false));
            let events: Vec<AuditEvent> = page.items.into_iter().map(Into::into).collect();
            let lines = format.lines(&events, first).map_err(std::io::Error::other)?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Some((Bytes::from(lines), next)))
        }
    });
    let headers = [(header::CONTENT_TYPE, format.content_type()), (header::CONTENT_DISPOSITION, format.disposition())];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// How events are written.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// A JSON object on each line.
    #[default]
    Ndjson,
    /// A line of names, then a line for each event.
    Csv,
}

impl Format {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    const fn disposition(self) -> &'static str {
        match self {
            Self::Ndjson => "attachment; filename=\"audit-events.ndjson\"",
            Self::Csv => "attachment; filename=\"audit-events.csv\"",
        }
    }

    fn lines(self, events: &[AuditEvent], first: bool) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Ndjson => {
                let mut lines = Vec::new();
                for event in events {
                    serde_json::to_writer(&mut lines, event)?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
            Self::Csv => {
                let mut table = csv::Writer::from_writer(Vec::new());
                if first {
                    table.write_record(NAMES)?;
                }
                for event in events {
                    table.write_record(event.fields().map(|text| harmless(&text)))?;
                }
                Ok(table.into_inner().map_err(csv::IntoInnerError::into_error)?)
            }
        }
    }
}

const NAMES: [&str; 16] = [
    "id",
    "at",
    "tenant_id",
    "actor_kind",
    "actor_id",
    "actor_name",
    "request_id",
    "ip",
    "operation",
    "kind",
    "resource",
    "subject_id",
    "before",
    "after",
    "outcome",
    "times",
];

impl AuditEvent {
    fn fields(&self) -> [String; 16] {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let json = |json: &Option<Value>| json.as_ref().map(ToString::to_string).unwrap_or_default();
        [
            self.id.to_string(),
            self.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            self.tenant_id.map(|id| id.to_string()).unwrap_or_default(),
            self.actor_kind.clone(),
            self.actor_id.map(|id| id.to_string()).unwrap_or_default(),
            text(&self.actor_name),
            self.request_id.clone(),
            text(&self.ip),
            self.operation.clone(),
            self.kind.to_string(),
            self.resource.clone(),
            text(&self.subject_id),
            json(&self.before),
            json(&self.after),
            self.outcome.to_string(),
            self.times.to_string(),
        ]
    }
}

/// A spreadsheet takes a text that begins so for a formula.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}
