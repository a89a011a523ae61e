//! Mailboxes that are read and sent from.

mod changes;
mod events;
mod identity;
mod row;
mod settings;
mod store;
mod transport;

use postrider_queue::{Lane, LaneName, ScopeKey};

pub use changes::AccountChange;
pub(crate) use changes::{reads_from_now, set_state};
pub(crate) use events::note;
pub use events::{AccountEvent, AccountEvents, EventKind};
pub use identity::{correspondent_of, identity_of};
pub use row::Model as Account;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use settings::{AccountSettings, MailServer};
pub(crate) use store::find;
pub use store::{Accounts, NewAccount};
pub use transport::Transport;

use crate::{scopes::Share, words::words};

words! {
    /// How a connection to a mail server is protected.
    "connection security"
    enum Security {
        /// TLS from the first byte.
        Tls = "tls",
        /// TLS after a greeting in the clear.
        Starttls = "starttls",
        /// None: only for servers in the same house, and for tests.
        Plain = "plain",
    }
}

words! {
    /// How a mailbox is logged in to.
    "login"
    enum LoginMethod {
        /// A password, or an app password of a provider that wants more than one proof.
        Password = "password",
        /// Tokens of a Google account, which its owner granted and may revoke.
        Google = "google",
    }
}

words! {
    /// Whether an account is used.
    "account state"
    enum AccountState {
        /// Its owner has yet to consent for the first time.
        Connecting = "connecting",
        Active = "active",
        /// Neither read nor sent from until a person resumes it.
        Paused = "paused",
        /// Its grant was revoked or never given: neither read nor sent from until its owner consents again.
        NeedsConsent = "needs_consent",
        /// Its password is forgotten; only its mails and quotes remain. Nobody finds it any more.
        Disconnected = "disconnected",
    }
}

/// The scope of a mailbox that is this to its provider.
pub(crate) fn scope_of(identity: &str) -> ScopeKey {
    ScopeKey::parse(format!("mailbox:{identity}"))
        .unwrap_or_else(|_| unreachable!("an identity is short and has no white space"))
}

impl Account {
    /// The scope whose limits hold for everything this mailbox sends, however often it is connected.
    pub fn scope(&self) -> ScopeKey {
        scope_of(&self.identity)
    }

    /// The lane of replies, which campaigns of the same mailbox never delay.
    pub fn transactional_lane(&self) -> Lane {
        let name = LaneName::parse(format!("account:{}:transactional", self.id))
            .unwrap_or_else(|_| unreachable!("a UUID makes a well-formed name"));
        Lane::with_scopes(name, vec![self.scope(), Share::Sending.scope()])
    }
}
