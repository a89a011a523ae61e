//! What waits in the outbox by tenant, so that each has its turn whatever waits for the others.

use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, async_trait,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite would use the old index for what waits, too, and sort all of it.
        manager.drop_index(Index::drop().name("outbox_by_relay").table("outbox").to_owned()).await?;
        for index in [
            "CREATE INDEX outbox_by_relay ON outbox (relayed_at) WHERE relayed_at IS NOT NULL",
            "CREATE INDEX outbox_by_tenant ON outbox (tenant_id, created_at, id) WHERE relayed_at IS NULL",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["outbox_by_tenant", "outbox_by_relay"] {
            manager.drop_index(Index::drop().name(name).table("outbox").to_owned()).await?;
        }
        let both = Index::create().name("outbox_by_relay").table("outbox").col("relayed_at").col("created_at").take();
        manager.create_index(both).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
