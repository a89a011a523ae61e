//! The send ledger: one row per outgoing message, so that a customer never gets the same mail twice.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{
        integer, json_binary, pk_uuid, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
        uuid_null,
    },
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("messages")
                    .col(pk_uuid("id"))
                    .col(uuid("tenant_id"))
                    .col(uuid("account_id"))
                    .col(uuid_null("quote_id"))
                    .col(uuid_null("thread_id"))
                    .col(text("to_address"))
                    .col(text("subject"))
                    .col(text("rfc_message_id"))
                    .col(text_null("in_reply_to"))
                    .col(json_binary("references"))
                    .col(text("body_text"))
                    .col(text_null("attachment_key"))
                    .col(text_null("attachment_name"))
                    .col(text("state"))
                    .col(integer("attempt"))
                    .col(text_null("scope"))
                    .col(timestamp_with_time_zone_null("window"))
                    .col(timestamp_with_time_zone_null("attempt_started_at"))
                    .col(timestamp_with_time_zone_null("data_started_at"))
                    .col(timestamp_with_time_zone_null("accepted_at"))
                    .col(text_null("provider_id"))
                    .col(text_null("reason"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(ForeignKey::create().from("messages", "account_id").to("accounts", "id"))
                    .foreign_key(ForeignKey::create().from("messages", "quote_id").to("quotes", "id"))
                    .take(),
            )
            .await?;
        for index in [
            Index::create().name("messages_by_tenant").table("messages").col("tenant_id").col("created_at").take(),
            Index::create()
                .name("messages_by_scope")
                .table("messages")
                .col("tenant_id")
                .col("scope")
                .col("state")
                .take(),
            Index::create().name("messages_by_thread").table("messages").col("thread_id").col("created_at").take(),
            Index::create().name("messages_by_quote").table("messages").col("quote_id").take(),
            Index::create().name("messages_by_state").table("messages").col("state").col("updated_at").take(),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("messages").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
