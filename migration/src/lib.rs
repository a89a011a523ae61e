//! The database schema, as steps that go up and down, the same for SQLite and PostgreSQL.
//!
//! Conventions every table follows:
//! * ids are UUIDs; times are UTC; state names are text, so that a new state needs no migration;
//! * amounts of money are *text*: SQLite would otherwise keep them as binary floating point;
//! * what belongs to a business carries `tenant_id`, even where a parent row already does, so that every query can name its tenant;
//! * bookkeeping between database and queue (`outbox`, `occurrences`, `dead_letters`) has no foreign keys: it must be writable
//!   for a tenant that has gone.

mod m20261121_000001_tenants;
mod m20261121_000002_accounts;
mod m20261121_000003_products;
mod m20261121_000004_mail;
mod m20261121_000005_quotes;
mod m20261121_000006_messages;
mod m20261121_000007_queue_bookkeeping;
mod m20261121_000008_idempotent_requests;
mod m20261121_000009_dead_letter_groups;
mod m20261121_000010_provider_limits;
mod m20261121_000011_request_seeds;
mod m20261121_000012_redriven_jobs;
mod m20261121_000013_stored_payloads;
mod m20261121_000014_dead_letter_indexes;
mod m20261121_000015_dead_letter_histories;
mod m20261121_000016_google_accounts;
mod m20261121_000017_mailbox_watches;
mod m20261121_000018_attachments;
mod m20261121_000019_drafts;
mod m20261121_000020_quote_life;
mod m20261121_000021_conversations;
mod m20261121_000022_mailbox_snapshots;
mod m20261121_000023_automatic_replies;
mod m20261121_000024_mailbox_connections;
mod m20261121_000025_key_lives;
mod m20261121_000026_people;
mod m20261121_000027_identities;
mod m20261121_000028_audit_events;
mod m20261121_000029_tenant_deletion;
mod m20261121_000030_audit_retention;
mod m20261121_000031_repeated_requests;
mod m20261121_000032_notices;
mod m20261121_000033_failed_fetches;
mod m20261121_000034_former_identities;
mod m20261121_000035_mailbox_epochs;
mod m20261121_000036_outbox_turns;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::{MigrationTrait, async_trait};

/// All steps, oldest first. A step that was released is never edited: a change is a new step.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_tenants::Migration),
            Box::new(m20261121_000002_accounts::Migration),
            Box::new(m20261121_000003_products::Migration),
            Box::new(m20261121_000004_mail::Migration),
            Box::new(m20261121_000005_quotes::Migration),
            Box::new(m20261121_000006_messages::Migration),
            Box::new(m20261121_000007_queue_bookkeeping::Migration),
            Box::new(m20261121_000008_idempotent_requests::Migration),
            Box::new(m20261121_000009_dead_letter_groups::Migration),
            Box::new(m20261121_000010_provider_limits::Migration),
            Box::new(m20261121_000011_request_seeds::Migration),
            Box::new(m20261121_000012_redriven_jobs::Migration),
            Box::new(m20261121_000013_stored_payloads::Migration),
            Box::new(m20261121_000014_dead_letter_indexes::Migration),
            Box::new(m20261121_000015_dead_letter_histories::Migration),
            Box::new(m20261121_000016_google_accounts::Migration),
            Box::new(m20261121_000017_mailbox_watches::Migration),
            Box::new(m20261121_000018_attachments::Migration),
            Box::new(m20261121_000019_drafts::Migration),
            Box::new(m20261121_000020_quote_life::Migration),
            Box::new(m20261121_000021_conversations::Migration),
            Box::new(m20261121_000022_mailbox_snapshots::Migration),
            Box::new(m20261121_000023_automatic_replies::Migration),
            Box::new(m20261121_000024_mailbox_connections::Migration),
            Box::new(m20261121_000025_key_lives::Migration),
            Box::new(m20261121_000026_people::Migration),
            Box::new(m20261121_000027_identities::Migration),
            Box::new(m20261121_000028_audit_events::Migration),
            Box::new(m20261121_000029_tenant_deletion::Migration),
            Box::new(m20261121_000030_audit_retention::Migration),
            Box::new(m20261121_000031_repeated_requests::Migration),
            Box::new(m20261121_000032_notices::Migration),
            Box::new(m20261121_000033_failed_fetches::Migration),
            Box::new(m20261121_000034_former_identities::Migration),
            Box::new(m20261121_000035_mailbox_epochs::Migration),
            Box::new(m20261121_000036_outbox_turns::Migration),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{Migrator, MigratorTrait};

    /// A process that is killed between a step and the note that it was applied would else leave a database that no later one can
    /// migrate: the step would be taken again, and fail.
    #[test]
    fn every_step_is_whole_or_not_at_all() {
        for step in Migrator::migrations() {
            assert_eq!(step.use_transaction(), Some(true), "{}", step.name());
        }
    }
}
