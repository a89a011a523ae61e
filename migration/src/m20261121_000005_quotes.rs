//! Quotes, their lines, and how each line's price came about.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{
        date_null, integer, json_binary, json_binary_null, pk_uuid, text, text_null, timestamp_with_time_zone, uuid,
        uuid_null, uuid_uniq,
    },
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        quotes(manager).await?;
        quote_lines(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("quote_lines").take()).await?;
        manager.drop_table(Table::drop().table("quotes").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn quotes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("quotes")
                .col(pk_uuid("id"))
                .col(uuid("tenant_id"))
                .col(uuid("account_id"))
                .col(uuid_uniq("mail_id"))
                .col(uuid("thread_id"))
                .col(text_null("number"))
                .col(integer("revision"))
                .col(text("state"))
                .col(text_null("reason"))
                .col(text("language"))
                .col(text("currency"))
                .col(text_null("subtotal"))
                .col(text_null("tax"))
                .col(text_null("total"))
                .col(text_null("tax_rate"))
                .col(date_null("valid_until"))
                .col(date_null("deadline"))
                .col(text_null("customer_name"))
                .col(text("customer_address"))
                .col(text_null("pdf_key"))
                .col(json_binary("extraction"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .foreign_key(ForeignKey::create().from("quotes", "mail_id").to("inbound_mails", "id"))
                .foreign_key(ForeignKey::create().from("quotes", "thread_id").to("threads", "id"))
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create().name("quotes_by_tenant").table("quotes").col("tenant_id").col("created_at").take(),
        )
        .await?;
    manager
        .create_index(
            Index::create().name("quotes_by_number").table("quotes").col("tenant_id").col("number").unique().take(),
        )
        .await
}

async fn quote_lines(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("quote_lines")
                .col(uuid("quote_id"))
                .col(integer("position"))
                .col(uuid("tenant_id"))
                .col(uuid_null("product_id"))
                .col(text("sku"))
                .col(text("description"))
                .col(json_binary("dimensions"))
                .col(text_null("material"))
                .col(text("quantity"))
                .col(text_null("unit_price"))
                .col(text_null("total"))
                .col(json_binary_null("explanation"))
                .primary_key(Index::create().col("quote_id").col("position"))
                .foreign_key(ForeignKey::create().from("quote_lines", "quote_id").to("quotes", "id"))
                .take(),
        )
        .await
}
