//! Who a mailbox was before its address was changed: messages that wait for the limits it had then have to be found.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{json_binary, timestamp_with_time_zone_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column at a time.
        for column in
            [json_binary("former_identities").default("[]").take(), timestamp_with_time_zone_null("identity_since")]
        {
            let accounts = Table::alter().table("accounts").add_column(column).take();
            manager.alter_table(accounts).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["identity_since", "former_identities"] {
            let accounts = Table::alter().table("accounts").drop_column(column).take();
            manager.alter_table(accounts).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
