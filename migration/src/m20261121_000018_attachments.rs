//! Files that came with mails.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{big_integer, integer, json_binary, pk_uuid, text, text_null, timestamp_with_time_zone, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("attachments")
                    .col(pk_uuid("id"))
                    .col(uuid("tenant_id"))
                    .col(uuid("mail_id"))
                    .col(integer("position"))
                    .col(text("name"))
                    .col(text_null("kind"))
                    .col(text("media_type"))
                    .col(big_integer("size"))
                    .col(text("sha256"))
                    .col(text_null("object_key"))
                    .col(text("state"))
                    .col(text_null("reason"))
                    .col(text("text"))
                    .col(json_binary("left_out"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(ForeignKey::create().from("attachments", "mail_id").to("inbound_mails", "id"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("attachments_by_mail")
                    .table("attachments")
                    .col("mail_id")
                    .col("position")
                    .unique()
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("attachments").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
