//! How long a process may work on a repeatable request, whether that changed something yet, and which request gave an API key its text;
//! and accounts by the mailbox that they connect.

use sea_orm_migration::{
    prelude::{ColumnDef, DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{boolean, timestamp_with_time_zone_null, uuid_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let add = |table: &'static str, column: ColumnDef| Table::alter().table(table).add_column(column).take();
        let leased_until = timestamp_with_time_zone_null("leased_until");
        manager.alter_table(add("idempotent_requests", leased_until)).await?;
        manager.alter_table(add("idempotent_requests", boolean("committed").default(false).take())).await?;
        manager.alter_table(add("api_keys", uuid_null("rotated_by"))).await?;
        let by_identity =
            Index::create().name("accounts_by_identity").table("accounts").col("tenant_id").col("identity").take();
        manager.create_index(by_identity).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("accounts_by_identity").table("accounts").to_owned()).await?;
        for (table, column) in
            [("api_keys", "rotated_by"), ("idempotent_requests", "committed"), ("idempotent_requests", "leased_until")]
        {
            manager.alter_table(Table::alter().table(table).drop_column(column).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
