//! What a mail of a conversation did: which quote it made or changed, and which mail it repeats.

use sea_orm_migration::{
    prelude::{ConnectionTrait, DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{integer_null, text, timestamp_with_time_zone, uuid, uuid_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite alters one column at a time.
        for column in [uuid_null("quote_id"), integer_null("quote_revision"), uuid_null("duplicate_of")] {
            manager.alter_table(Table::alter().table("inbound_mails").add_column(column).take()).await?;
        }
        let made = "UPDATE inbound_mails SET quote_revision = 1, \
                    quote_id = (SELECT quotes.id FROM quotes WHERE quotes.mail_id = inbound_mails.id) \
                    WHERE EXISTS (SELECT 1 FROM quotes WHERE quotes.mail_id = inbound_mails.id)";
        manager.get_connection().execute_unprepared(made).await?;
        for index in [
            Index::create()
                .name("inbound_mails_by_sender")
                .table("inbound_mails")
                .col("tenant_id")
                .col("from_address")
                .col("created_at")
                .take(),
            Index::create().name("quotes_by_thread").table("quotes").col("thread_id").col("created_at").take(),
        ] {
            manager.create_index(index).await?;
        }
        manager.create_table(made_requests()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("made_requests").take()).await?;
        manager.drop_index(Index::drop().name("quotes_by_thread").table("quotes").to_owned()).await?;
        manager.drop_index(Index::drop().name("inbound_mails_by_sender").table("inbound_mails").to_owned()).await?;
        for column in ["duplicate_of", "quote_revision", "quote_id"] {
            manager.alter_table(Table::alter().table("inbound_mails").drop_column(column).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The latest mail by which a tenant was asked in these very words.
fn made_requests() -> sea_orm_migration::prelude::TableCreateStatement {
    Table::create()
        .table("made_requests")
        .col(uuid("tenant_id"))
        .col(text("fingerprint"))
        .col(uuid("mail_id"))
        .col(timestamp_with_time_zone("received_at"))
        .primary_key(Index::create().col("tenant_id").col("fingerprint"))
        .take()
}
