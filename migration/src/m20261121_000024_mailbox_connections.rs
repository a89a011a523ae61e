//! Which connections to mailboxes are open: servers allow few at once for each login, and the owner's own programs need some.

use sea_orm_migration::{
    prelude::{
        DbErr, DeriveMigrationName, ForeignKey, ForeignKeyAction, Index, MigrationTrait, SchemaManager, Table,
        async_trait,
    },
    schema::{integer, text, text_null, timestamp_with_time_zone_null, uuid, uuid_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connections = Table::create()
            .table("mailbox_connections")
            .col(text("login"))
            .col(integer("slot"))
            .col(uuid("account_id"))
            .col(uuid("tenant_id"))
            .col(text_null("job_id"))
            .col(uuid_null("watcher_id"))
            .col(timestamp_with_time_zone_null("ends_at"))
            .primary_key(Index::create().col("login").col("slot"))
            .foreign_key(
                ForeignKey::create()
                    .from("mailbox_connections", "watcher_id")
                    .to("mailbox_watchers", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .take();
        manager.create_table(connections).await?;
        let by_watcher = Index::create()
            .name("mailbox_connections_by_watcher")
            .table("mailbox_connections")
            .col("watcher_id")
            .take();
        manager.create_index(by_watcher).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("mailbox_connections").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
