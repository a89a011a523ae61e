use crate::{
    accounts::{AccountEvents, Accounts},
    api_keys::ApiKeys,
    attachments::Attachments,
    clock::Clock,
    database::Database,
    dead_letters::DeadLetters,
    google::{Consents, Grants},
    mail::Mail,
    messages::Messages,
    occurrences::Occurrences,
    outbox::Outbox,
    products::Products,
    quotes::Quotes,
    requests::Requests,
    seal::KeyRing,
    tenants::Tenants,
    watches::Watches,
};

/// All stores over one database, made once in `main` and handed to whoever needs them. Cheap to clone.
#[derive(Clone)]
pub struct Stores {
    pub tenants: Tenants,
    pub api_keys: ApiKeys,
    pub accounts: Accounts,
    pub account_events: AccountEvents,
    pub grants: Grants,
    pub consents: Consents,
    pub mail: Mail,
    pub attachments: Attachments,
    pub products: Products,
    pub quotes: Quotes,
    pub messages: Messages,
    pub outbox: Outbox,
    pub occurrences: Occurrences,
    pub dead_letters: DeadLetters,
    pub requests: Requests,
    pub watches: Watches,
}

impl Stores {
    /// `keys` is `None` in processes that neither store nor open a mailbox's password.
    pub fn new(database: &Database, clock: &Clock, keys: Option<KeyRing>) -> Self {
        let (database, clock) = (|| database.clone(), || clock.clone());
        Self {
            tenants: Tenants::new(database(), clock()),
            api_keys: ApiKeys::new(database(), clock()),
            accounts: Accounts::new(database(), clock(), keys.clone()),
            account_events: AccountEvents::new(database()),
            grants: Grants::new(database(), clock(), keys.clone()),
            consents: Consents::new(database(), clock(), keys),
            mail: Mail::new(database(), clock()),
            attachments: Attachments::new(database(), clock()),
            products: Products::new(database(), clock()),
            quotes: Quotes::new(database(), clock()),
            messages: Messages::new(database(), clock()),
            outbox: Outbox::new(database(), clock()),
            occurrences: Occurrences::new(database(), clock()),
            dead_letters: DeadLetters::new(database(), clock()),
            requests: Requests::new(database(), clock()),
            watches: Watches::new(database(), clock()),
        }
    }
}
