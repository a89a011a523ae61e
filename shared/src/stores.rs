use crate::{
    accounts::{AccountEvents, Accounts},
    api_keys::ApiKeys,
    attachments::Attachments,
    clock::Clock,
    database::Database,
    dead_letters::DeadLetters,
    google::{Consents, Grants},
    invitations::Invitations,
    mail::Mail,
    messages::Messages,
    occurrences::Occurrences,
    one_time_codes::OneTimeCodes,
    outbox::Outbox,
    products::Products,
    quotes::Quotes,
    requests::Requests,
    seal::KeyRing,
    secrets::Secrets,
    sessions::Sessions,
    tenants::Tenants,
    users::{Members, Users},
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
    pub secrets: Secrets,
    pub users: Users,
    pub members: Members,
    pub sessions: Sessions,
    pub one_time_codes: OneTimeCodes,
    pub invitations: Invitations,
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
            consents: Consents::new(database(), clock(), keys.clone()),
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
            secrets: Secrets::new(database(), keys.clone()),
            users: Users::new(database(), clock()),
            members: Members::new(database(), clock()),
            sessions: Sessions::new(database(), clock()),
            one_time_codes: OneTimeCodes::new(database(), clock(), keys.clone()),
            invitations: Invitations::new(database(), clock(), keys),
        }
    }
}
