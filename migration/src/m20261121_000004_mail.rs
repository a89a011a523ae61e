//! Mail that came in, and the threads it belongs to.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{
        big_integer, double_null, json_binary, pk_uuid, text, text_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid,
    },
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        threads(manager).await?;
        inbound_mails(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("inbound_mails").take()).await?;
        manager.drop_table(Table::drop().table("thread_messages").take()).await?;
        manager.drop_table(Table::drop().table("threads").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn threads(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("threads")
                .col(pk_uuid("id"))
                .col(uuid("tenant_id"))
                .col(uuid("account_id"))
                .col(text("subject"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(ForeignKey::create().from("threads", "account_id").to("accounts", "id"))
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create().name("threads_by_tenant").table("threads").col("tenant_id").col("created_at").take(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table("thread_messages")
                .col(uuid("account_id"))
                .col(text("rfc_message_id"))
                .col(uuid("tenant_id"))
                .col(uuid("thread_id"))
                .primary_key(Index::create().col("account_id").col("rfc_message_id"))
                .foreign_key(ForeignKey::create().from("thread_messages", "thread_id").to("threads", "id"))
                .take(),
        )
        .await
}

async fn inbound_mails(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("inbound_mails")
                .col(pk_uuid("id"))
                .col(uuid("tenant_id"))
                .col(uuid("account_id"))
                .col(uuid("thread_id"))
                .col(text("dedupe_key"))
                .col(text_null("rfc_message_id"))
                .col(text_null("in_reply_to"))
                .col(json_binary("references"))
                .col(text("from_address"))
                .col(text_null("from_name"))
                .col(text("subject"))
                .col(timestamp_with_time_zone_null("sent_at"))
                .col(timestamp_with_time_zone("received_at"))
                .col(text("raw_key"))
                .col(big_integer("size"))
                .col(text("text"))
                .col(text("folder"))
                .col(big_integer("uid_validity"))
                .col(big_integer("uid"))
                .col(text("state"))
                .col(text_null("intent"))
                .col(text_null("language"))
                .col(double_null("confidence"))
                .col(text_null("reason"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(ForeignKey::create().from("inbound_mails", "account_id").to("accounts", "id"))
                .foreign_key(ForeignKey::create().from("inbound_mails", "thread_id").to("threads", "id"))
                .take(),
        )
        .await?;
    for index in [
        Index::create()
            .name("inbound_mails_once")
            .table("inbound_mails")
            .col("account_id")
            .col("dedupe_key")
            .unique()
            .take(),
        Index::create()
            .name("inbound_mails_by_tenant")
            .table("inbound_mails")
            .col("tenant_id")
            .col("created_at")
            .take(),
        Index::create()
            .name("inbound_mails_by_thread")
            .table("inbound_mails")
            .col("thread_id")
            .col("created_at")
            .take(),
    ] {
        manager.create_index(index).await?;
    }
    Ok(())
}
