//! What becomes of a quote after it was sent: who decided what and when, and the revisions that customers were sent before.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{date_null, integer, json_binary, text, text_null, timestamp_with_time_zone, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let issue = Table::alter().table("quotes").add_column(integer("issue").default(1)).take();
        manager.alter_table(issue).await?;
        let index = Index::create().name("quotes_by_validity").table("quotes").col("state").col("valid_until").take();
        manager.create_index(index).await?;
        manager.create_table(events()).await?;
        manager.create_table(revisions()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("quote_revisions").take()).await?;
        manager.drop_table(Table::drop().table("quote_events").take()).await?;
        manager.drop_index(Index::drop().name("quotes_by_validity").table("quotes").to_owned()).await?;
        manager.alter_table(Table::alter().table("quotes").drop_column("issue").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Rows are added and never changed.
fn events() -> sea_orm_migration::prelude::TableCreateStatement {
    Table::create()
        .table("quote_events")
        .col(uuid("quote_id"))
        .col(integer("position"))
        .col(uuid("tenant_id"))
        .col(integer("revision"))
        .col(text_null("from_state"))
        .col(text("to_state"))
        .col(text("actor"))
        .col(text_null("via"))
        .col(text_null("reason"))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("quote_id").col("position"))
        .foreign_key(ForeignKey::create().from("quote_events", "quote_id").to("quotes", "id"))
        .take()
}

fn revisions() -> sea_orm_migration::prelude::TableCreateStatement {
    Table::create()
        .table("quote_revisions")
        .col(uuid("quote_id"))
        .col(integer("revision"))
        .col(uuid("tenant_id"))
        .col(text_null("number"))
        .col(text("state"))
        .col(text("language"))
        .col(text("currency"))
        .col(text_null("subtotal"))
        .col(text_null("tax"))
        .col(text_null("total"))
        .col(text_null("tax_rate"))
        .col(date_null("valid_until"))
        .col(text("pdf_key"))
        .col(json_binary("lines"))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("quote_id").col("revision"))
        .foreign_key(ForeignKey::create().from("quote_revisions", "quote_id").to("quotes", "id"))
        .take()
}
