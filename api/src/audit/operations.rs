//! What each operation leaves in the audit log, in one table.

use axum::http::Method;

use crate::by_route::ByRoute;
use crate::openapi::Document;

/// What an operation leaves in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// A row of each change in the transaction that makes it.
    Change,
    /// A row before it is begun: what it changes is not in the database.
    Elsewhere,
    /// A row before data of persons are handed out.
    Access,
    /// Of strangers: what turns out to be somebody's in its transaction, and refusals, counted.
    SignIn,
    /// Of strangers: that they asked, counted, because asking again and again must not fill the log.
    Asked,
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// The record of a job is its history, and jobs come by the ten thousand a second.
const JOBS: &str = "the job's own record is kept by the queue";
const IMPERSONAL: &str = "shows no data of persons";

/// The table, by `operation_id`. `None`: nobody decided yet.
#[expect(clippy::match_same_arms, reason = "one arm for the operations on one kind of thing")]
pub fn decided(operation: &str) -> Option<Recorded> {
    Some(match operation {
        "create_account"
        | "change_account"
        | "disconnect_account"
        | "pause_account"
        | "resume_account"
        | "create_google_account"
        | "ask_consent" => Recorded::Change,
        "create_product" | "change_product" | "archive_product" => Recorded::Change,
        "approve_quote" | "accept_quote" | "decline_quote" | "renew_quote" | "revise_quote" | "settle_message"
        | "resolve_mail" => Recorded::Change,
        "create_tenant" | "change_tenant" | "approve_tenant" | "suspend_tenant" | "activate_tenant"
        | "delete_tenant" | "restore_tenant" => Recorded::Change,
        "create_api_key"
        | "change_api_key"
        | "rotate_api_key"
        | "revoke_api_key"
        | "create_platform_key"
        | "change_platform_key"
        | "rotate_platform_key"
        | "revoke_platform_key" => Recorded::Change,
        "redrive_dead_letter" | "discard_dead_letter" => Recorded::Change,
        "add_platform_user" | "remove_platform_user" => Recorded::Change,
        "change_user" | "remove_user" | "create_invitation" | "revoke_invitation" => Recorded::Change,
        "delete_me" | "change_my_email" | "confirm_my_email" | "change_me" | "change_my_password"
        | "link_my_identity" | "unlink_my_identity" => Recorded::Change,
        // Sessions are no rows of a tenant.
        "logout" | "end_my_session" => Recorded::Elsewhere,

        // The queue lives in Redis.
        "pause_queue"
        | "resume_queue"
        | "cancel_job"
        | "cancel_jobs"
        | "retry_job"
        | "rotate_secrets"
        | "redrive_dead_letters"
        | "discard_dead_letters" => Recorded::Elsewhere,

        "list_mails" | "get_mail" | "get_raw_mail" | "list_mail_attachments" | "get_attachment_content" => {
            Recorded::Access
        }
        "list_threads" | "get_thread" | "list_messages" | "get_message" => Recorded::Access,
        "list_quotes"
        | "get_quote"
        | "get_quote_pdf"
        | "list_quote_attachments"
        | "list_quote_events"
        | "list_quote_revisions"
        | "get_quote_revision_pdf" => Recorded::Access,
        "list_audit_events" | "export_audit_events" => Recorded::Access,
        "list_users" | "get_user" | "list_invitations" | "list_platform_users" => Recorded::Access,
        "ask_for_my_code" => Recorded::Nothing("a code changes nothing before it comes back"),
        "get_me" | "list_my_identities" => Recorded::Nothing("shows people their own data"),

        "login"
        | "verify_code"
        | "sign_in_with_id_token"
        | "refresh"
        | "confirm_registration"
        | "reset_password"
        | "accept_invitation" => Recorded::SignIn,
        "register" | "ask_for_code" | "ask_for_password_reset" => Recorded::Asked,

        "submit_job" | "submit_jobs" | "open_batch" | "seal_batch" => Recorded::Nothing(JOBS),
        "get_job"
        | "list_jobs"
        | "follow_job"
        | "list_children"
        | "get_job_log"
        | "get_batch"
        | "list_kinds"
        | "list_dead_letters"
        | "get_dead_letter"
        | "list_dead_letter_groups"
        | "list_queues"
        | "get_queue"
        | "count_secrets"
        | "get_rotation"
        | "list_accounts"
        | "get_account"
        | "list_account_events"
        | "list_products"
        | "get_product"
        | "list_tenants"
        | "get_tenant"
        | "list_api_keys"
        | "list_platform_keys" => Recorded::Nothing(IMPERSONAL),
        _ => return None,
    })
}

/// What each routed operation leaves.
#[derive(Debug, Clone)]
pub struct Operations(ByRoute<(String, Recorded)>);

impl Operations {
    /// Reads the document of all routes. A private operation that nobody decided on yet leaves rather too much than too little.
    pub fn of_document(document: &Document) -> Self {
        let read = document.operations().map(|(method, path, operation)| {
            let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
            let recorded = decided(&name).unwrap_or(match method {
                Method::GET => Recorded::Access,
                _ => Recorded::Change,
            });
            (method, path, (name, recorded))
        });
        Self(read.collect())
    }

    /// The operation's name, and what it leaves.
    pub fn of(&self, method: &Method, path: &str) -> Option<(&str, Recorded)> {
        self.0.get(method, path).map(|(name, recorded)| (name.as_str(), *recorded))
    }
}
