//! Ids: one type per noun, so that a mail's id cannot be handed to a query for quotes.
//!
//! Ids are UUIDs. New things get a version 7 UUID (ordered by time, kind to indexes). Things that follow from something else get a
//! *derived* one: the same parts always give the same id, so a repeated step finds its own row instead of making a second.

use std::{fmt, str::FromStr};

use postrider_queue::Tenant;
use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

/// The text was not the UUID of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what} id (a UUID such as 0197f3a0-5c1e-7d2a-9b1f-3c5d7e9f1a2b)")]
pub struct IdError {
    pub what: &'static str,
    pub text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $what:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, DeriveValueType, ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = Uuid)]
        pub struct $name(pub Uuid);

        impl $name {
            /// An id nothing else has.
            pub fn random() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id that follows from `parts`: the same for the same parts, in every process and for ever.
            pub fn derived(parts: &[&str]) -> Self {
                Self(derive($what, parts))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::from_str(text).map(Self).map_err(|_| IdError { what: $what, text: text.chars().take(80).collect() })
            }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64($what))
            }
        }
    )*};
}

ids! {
    /// A business whose mail and quotes run through the platform.
    TenantId = "tenant",
    /// A key that opens the API.
    ApiKeyId = "api key",
    /// A person who signs in.
    UserId = "user",
    /// A person's being signed in, with one browser or client; a family of tokens.
    SessionId = "session",
    /// A code that was mailed to somebody, to be given back once.
    CodeId = "code",
    /// Word to somebody of what was changed about their account.
    NoticeId = "notice",
    /// An invitation to work for a tenant.
    InvitationId = "invitation",
    /// Who somebody is elsewhere.
    IdentityId = "identity",
    /// A connected mailbox.
    AccountId = "account",
    /// Something that happened to an account.
    AccountEventId = "account event",
    /// One time that an account's owner is asked for consent.
    ConsentId = "consent",
    /// Something a tenant sells.
    ProductId = "product",
    /// A conversation by mail.
    ThreadId = "thread",
    /// A mail that came in; derived from (account, dedupe key).
    MailId = "mail",
    /// A file that came with a mail; derived from (mail, place in it).
    AttachmentId = "attachment",
    /// A quote; derived from the mail that asked for it.
    QuoteId = "quote",
    /// An outgoing message in the send ledger; derived from what it is, such as (quote, revision).
    MessageId = "message",
    /// A job that waits in the database to be brought to the queue.
    OutboxId = "outbox entry",
    /// A job that died, kept for a person.
    DeadLetterId = "dead letter",
    /// A payload that lies in the object store.
    PayloadId = "payload",
    /// A worker process that watches mailboxes; new at each start.
    WatcherId = "watcher",
}

impl TenantId {
    /// The installation itself, in whose name jobs run that are no business's: mail about signing in. No such tenant is in the
    /// table.
    pub fn platform() -> Self {
        Self::derived(&["platform"])
    }
}

impl From<TenantId> for Tenant {
    fn from(id: TenantId) -> Self {
        Self::parse(id.to_string()).unwrap_or_else(|_| unreachable!("a UUID is a well-formed name"))
    }
}

impl MailId {
    /// The record of one mail in one mailbox.
    pub fn of(account: AccountId, dedupe_key: &str) -> Self {
        Self::derived(&[&account.to_string(), dedupe_key])
    }
}

impl AttachmentId {
    /// The record of one attachment; places in a mail count from 1.
    pub fn of(mail: MailId, position: usize) -> Self {
        Self::derived(&[&mail.to_string(), &position.to_string()])
    }
}

impl QuoteId {
    /// The one quote that answers a mail.
    pub fn of(mail: MailId) -> Self {
        Self::derived(&[&mail.to_string()])
    }
}

impl MessageId {
    /// The one message that carries a revision of a quote.
    pub fn of_quote(quote: QuoteId, revision: u32) -> Self {
        Self::derived(&["quote", &quote.to_string(), &revision.to_string()])
    }
}

/// SHA-256 over length-prefixed parts, so that ("ab", "c") and ("a", "bc") differ; as a version 8 UUID.
pub(crate) fn derive(what: &str, parts: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for part in std::iter::once(&what).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_stable() {
        let mail = MailId(Uuid::nil());
        assert_eq!(QuoteId::of(mail), QuoteId::of(mail));
        // A change here orphans every quote in every installation.
        assert_eq!(QuoteId::of(mail).to_string(), "b70ef95f-3081-8003-b064-a363237a5a9c");
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(MailId::derived(&["ab", "c"]), MailId::derived(&["a", "bc"]));
        assert_ne!(MailId::derived(&["a"]).0, QuoteId::derived(&["a"]).0);
    }

    #[test]
    fn a_malformed_id_says_what_it_should_have_been() {
        let error = TenantId::from_str("nonsense").unwrap_err();
        assert!(error.to_string().starts_with("`nonsense` is not a valid tenant id"));
    }
}
