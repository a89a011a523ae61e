//! The catalogue: every kind of job there is, one file per kind.
//!
//! A kind is its payload together with its policy and with who may submit it. Payloads carry ids and small scalars, never rows and
//! never secrets. Their JSON is a wire format between versions: each has a golden snapshot, and a renamed kind keeps its old name
//! as an alias.
//!
//! To add a kind: a file here, one line in [`catalogue`], a handler in the worker, and its registration.

mod cancel_jobs;
mod connect_google;
mod delete_tenant;
pub mod diagnostic;
mod extract_request;
mod fetch_key_set;
mod kind;
mod mail_code;
mod mail_invitation;
mod mail_notice;
mod poll_mailbox;
mod price_quote;
mod queue;
mod render_quote;
mod revoke_google;
mod rotate_secrets;
mod send_email;
mod settle_dead_letters;
mod tend_drafts;

use std::sync::LazyLock;

pub use cancel_jobs::{CancelJobs, WaitingJobs};
pub use connect_google::ConnectGoogle;
pub use delete_tenant::DeleteTenant;
pub use extract_request::ExtractRequest;
pub use fetch_key_set::FetchKeySet;
pub use kind::{Declared, KindInfo, PayloadError, Submit};
pub use mail_code::MailCode;
pub use mail_invitation::MailInvitation;
pub use mail_notice::MailNotice;
pub use poll_mailbox::PollMailbox;
pub use price_quote::PriceQuote;
pub use queue::Queue;
pub use render_quote::RenderQuote;
pub use revoke_google::RevokeGoogle;
pub use rotate_secrets::RotateSecrets;
pub use send_email::SendEmail;
pub use settle_dead_letters::{DeadLetterAction, SettleDeadLetters};
pub use tend_drafts::TendDrafts;

static CATALOGUE: LazyLock<Vec<KindInfo>> = LazyLock::new(|| {
    let mut kinds = vec![
        KindInfo::of::<PollMailbox>(),
        KindInfo::of::<ExtractRequest>(),
        KindInfo::of::<PriceQuote>(),
        KindInfo::of::<RenderQuote>(),
        KindInfo::of::<SendEmail>(),
        KindInfo::of::<ConnectGoogle>(),
        KindInfo::of::<RevokeGoogle>(),
        KindInfo::of::<SettleDeadLetters>(),
        KindInfo::of::<CancelJobs>(),
        KindInfo::of::<TendDrafts>(),
        KindInfo::of::<MailCode>(),
        KindInfo::of::<MailInvitation>(),
        KindInfo::of::<MailNotice>(),
        KindInfo::of::<RotateSecrets>(),
        KindInfo::of::<DeleteTenant>(),
        KindInfo::of::<FetchKeySet>(),
    ];
    kinds.extend(diagnostic::kinds());
    kinds
});

/// All kinds, for `GET /v1/kinds` and for the check of submitted payloads.
pub fn catalogue() -> &'static [KindInfo] {
    &CATALOGUE
}

/// The kind of a name or alias.
pub fn find(name: &str) -> Option<&'static KindInfo> {
    catalogue().iter().find(|kind| kind.kind.as_str() == name || kind.aliases.contains(&name))
}

#[cfg(test)]
mod tests;
