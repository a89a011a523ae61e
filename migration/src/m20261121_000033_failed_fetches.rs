//! Which mail of a folder could not be fetched, how often and since when: one that its server never hands over must not keep back
//! those behind it.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{big_integer, integer, timestamp_with_time_zone_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column at a time.
        for column in [
            big_integer("failed_uid").default(0).take(),
            timestamp_with_time_zone_null("failed_since"),
            integer("failures").default(0).take(),
        ] {
            let cursors = Table::alter().table("mailbox_cursors").add_column(column).take();
            manager.alter_table(cursors).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["failures", "failed_since", "failed_uid"] {
            let cursors = Table::alter().table("mailbox_cursors").drop_column(column).take();
            manager.alter_table(cursors).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
