//! Dead letters by error, and with the attempts that failed.

use sea_orm_migration::prelude::{
    Alias, ColumnDef, DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (column, default) in [("error_group", ""), ("history", "[]")] {
            let mut definition = ColumnDef::new(Alias::new(column));
            let table =
                Table::alter().table("dead_letters").add_column(definition.text().not_null().default(default)).take();
            manager.alter_table(table).await?;
        }
        manager
            .create_index(
                Index::create()
                    .name("dead_letters_by_age")
                    .table("dead_letters")
                    .col("tenant_id")
                    .col("state")
                    .col("died_at")
                    .col("id")
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("dead_letters_by_age").table("dead_letters").to_owned()).await?;
        for column in ["history", "error_group"] {
            manager.alter_table(Table::alter().table("dead_letters").drop_column(Alias::new(column)).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
