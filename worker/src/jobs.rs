//! The handlers, one file per kind, and the one list of them.

mod cancel_jobs;
mod connect_google;
mod delete_tenant;
mod diagnostic;
mod extract_request;
mod fetch_key_set;
mod mail_code;
mod mail_invitation;
mod mail_notice;
pub(crate) mod poll_mailbox;
mod price_quote;
mod render_quote;
mod revoke_google;
mod rotate_secrets;
mod send_email;
mod settle_dead_letters;
mod tend_drafts;

use postrider_shared::jobs::{
    CancelJobs, ConnectGoogle, DeleteTenant, ExtractRequest, FetchKeySet, MailCode, MailInvitation, MailNotice,
    PollMailbox, PriceQuote, RenderQuote, RevokeGoogle, RotateSecrets, SendEmail, SettleDeadLetters, TendDrafts,
};

use crate::registry::{RegisteredTwice, Registry};

/// Every kind this worker runs.
pub fn registry() -> Result<Registry, RegisteredTwice> {
    let mut registry = Registry::default();
    registry.add::<PollMailbox>()?;
    registry.add::<ExtractRequest>()?;
    registry.add::<PriceQuote>()?;
    registry.add::<RenderQuote>()?;
    registry.add::<SendEmail>()?;
    registry.add::<ConnectGoogle>()?;
    registry.add::<RevokeGoogle>()?;
    registry.add::<SettleDeadLetters>()?;
    registry.add::<CancelJobs>()?;
    registry.add::<TendDrafts>()?;
    registry.add::<MailCode>()?;
    registry.add::<MailInvitation>()?;
    registry.add::<MailNotice>()?;
    registry.add::<RotateSecrets>()?;
    registry.add::<DeleteTenant>()?;
    registry.add::<FetchKeySet>()?;
    diagnostic::register(&mut registry)?;
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use postrider_shared::jobs::catalogue;

    #[test]
    fn every_kind_of_the_catalogue_has_its_handler() {
        let registry = super::registry().unwrap();
        for kind in catalogue() {
            assert!(registry.find(kind.kind.as_str()).is_some(), "{}", kind.kind);
        }
    }
}
