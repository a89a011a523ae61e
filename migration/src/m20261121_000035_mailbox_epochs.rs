//! Which numbering of a folder a place is in: a run that began before its mails were numbered anew moves nothing.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait},
    schema::big_integer,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let epoch = big_integer("epoch").default(0).take();
        manager.alter_table(Table::alter().table("mailbox_cursors").add_column(epoch).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("mailbox_cursors").drop_column("epoch").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
