//! Which messages went out without a person, and to whom, so that automatic replies can be counted and circles end.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{boolean, text, text_null, timestamp_with_time_zone, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Until now every message was marked as automatic.
        let automatic = boolean("automatic").default(true).take();
        manager.alter_table(Table::alter().table("messages").add_column(automatic).take()).await?;
        manager.alter_table(Table::alter().table("messages").add_column(text_null("correspondent")).take()).await?;
        let mut index = Index::create().name("messages_by_correspondent").table("messages").col("account_id").take();
        manager.create_index(index.col("correspondent").col("created_at").take()).await?;
        let correspondents = Table::create()
            .table("correspondents")
            .col(uuid("account_id"))
            .col(text("correspondent"))
            .col(uuid("tenant_id"))
            .col(timestamp_with_time_zone("created_at"))
            .primary_key(Index::create().col("account_id").col("correspondent"))
            .foreign_key(ForeignKey::create().from("correspondents", "account_id").to("accounts", "id"))
            .take();
        manager.create_table(correspondents).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("correspondents").take()).await?;
        let index = Index::drop().name("messages_by_correspondent").table("messages").to_owned();
        manager.drop_index(index).await?;
        for column in ["correspondent", "automatic"] {
            manager.alter_table(Table::alter().table("messages").drop_column(column).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
