//! Files that came with mails.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use postrider_shared::attachments::{self, AttachmentState};
use postrider_shared::ids::{AttachmentId, MailId, QuoteId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Tenant;
use crate::json::Json;
use crate::parameters::Path;
use crate::problem::{Answer, Problem, ProblemType};

/// The operations on attachments.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(of_mail)).routes(routes!(of_quote)).routes(routes!(content))
}

/// A file that came with a mail.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attachment {
    /// Its id.
    id: AttachmentId,
    /// The mail it came with.
    mail_id: MailId,
    /// Its place in the mail; counts from 1.
    position: i32,
    /// As its sender calls it. Written by a stranger: escape it.
    name: String,
    /// What it was found to be, such as `xlsx` or `pdf`; null if that is nothing that is read.
    kind: Option<String>,
    /// Its media type by its content, whatever its sender says.
    media_type: String,
    /// Bytes.
    size: i64,
    /// Of its content, in hexadecimal digits.
    sha256: String,
    /// What became of it.
    state: AttachmentState,
    /// Why it was not read.
    reason: Option<String>,
    /// What was read in it; tables have a line per row. Written by a stranger: escape it.
    text: String,
    /// What of it was not read; empty if all was.
    left_out: Vec<String>,
    /// Whether `GET /v1/attachments/{id}/content` has it.
    has_content: bool,
    /// When it was dealt with.
    created_at: DateTime<Utc>,
}

impl From<attachments::Attachment> for Attachment {
    fn from(row: attachments::Attachment) -> Self {
        Self {
            id: row.id,
            mail_id: row.mail_id,
            position: row.position,
            name: row.name,
            kind: row.kind,
            media_type: row.media_type,
            size: row.size,
            sha256: row.sha256,
            state: row.state,
            reason: row.reason,
            text: row.text,
            left_out: row.left_out.0,
            has_content: row.object_key.is_some(),
            created_at: row.created_at,
        }
    }
}

/// A mail's attachments.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttachmentList {
    /// In the mail's order.
    items: Vec<Attachment>,
}

/// List the attachments of a mail.
#[utoipa::path(
    get, path = "/mails/{id}/attachments", tag = "attachments", operation_id = "list_mail_attachments",
    params(("id" = MailId, Path, description = "The mail's id.")),
    responses((status = 200, description = "Its attachments, as far as they were dealt with.", body = AttachmentList)),
    security(("api_key" = ["mails:read"]))
)]
async fn of_mail(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<MailId>,
) -> Answer<Json<AttachmentList>> {
    let mail = app.stores().mail.get(tenant, id).await?;
    let items = app.stores().attachments.of_mail(tenant, mail.id).await?;
    Ok(Json(AttachmentList { items: items.into_iter().map(Into::into).collect() }))
}

/// List the attachments of the mail that asked for a quote.
#[utoipa::path(
    get, path = "/quotes/{id}/attachments", tag = "attachments", operation_id = "list_quote_attachments",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    responses((status = 200, description = "Its attachments.", body = AttachmentList)),
    security(("api_key" = ["mails:read"]))
)]
async fn of_quote(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<QuoteId>,
) -> Answer<Json<AttachmentList>> {
    let quote = app.stores().quotes.get(tenant, id).await?;
    let items = app.stores().attachments.of_mail(tenant, quote.mail_id).await?;
    Ok(Json(AttachmentList { items: items.into_iter().map(Into::into).collect() }))
}

/// Get an attachment as it came, byte by byte.
///
/// A stranger made it: it is sent as a download, never to be shown by a browser.
#[utoipa::path(
    get, path = "/attachments/{id}/content", tag = "attachments", operation_id = "get_attachment_content",
    params(("id" = AttachmentId, Path, description = "The attachment's id.")),
    responses((status = 200, description = "Its content.", body = Vec<u8>, content_type = "*/*")),
    security(("api_key" = ["mails:read"]))
)]
async fn content(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<AttachmentId>) -> Answer<Response> {
    let attachment = app.stores().attachments.get(tenant, id).await?;
    let Some(key) = attachment.object_key else {
        return Err(Problem::new(ProblemType::StateConflict, "The malware scanner objected, so it was not kept."));
    };
    let content = app.objects().get(&key).await?;
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&attachment.media_type).map_err(Problem::internal)?);
    let disposition = HeaderValue::from_str(&disposition(&attachment.name)).map_err(Problem::internal)?;
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

/// For programs of today the name as it is (RFC 8187), for older ones what is left of it in ASCII.
fn disposition(name: &str) -> String {
    use std::fmt::Write as _;

    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(
            disposition("Größe\"; x=\r\n.csv"),
            "attachment; filename=\"Gr__e___x___.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%22%3B%20x%3D%0D%0A.csv"
        );
    }
}
