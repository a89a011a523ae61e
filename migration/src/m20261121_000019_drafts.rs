//! Messages that go out as drafts of a provider's API, and which mailboxes send so.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{text, text_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COLUMNS: [&str; 3] = ["draft_id", "provider_thread_id", "sent_message_id"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in COLUMNS {
            manager.alter_table(Table::alter().table("messages").add_column(text_null(column)).take()).await?;
        }
        let transport = text("transport").default("smtp").take();
        manager.alter_table(Table::alter().table("accounts").add_column(transport).take()).await?;
        let mut index = Index::create().name("messages_by_draft").table("messages").col("account_id").take();
        manager.create_index(index.col("draft_id").take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut index = Index::drop();
        manager.drop_index(index.name("messages_by_draft").table("messages").to_owned()).await?;
        manager.alter_table(Table::alter().table("accounts").drop_column("transport").take()).await?;
        for column in COLUMNS {
            manager.alter_table(Table::alter().table("messages").drop_column(column).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
