//! Who watches which mailbox: the worker processes that keep IDLE connections, what each holds, and which mailboxes are left
//! alone for a while because their servers gave trouble.
//!
//! A lease has no expiry of its own: it ends with its watcher's row, which goes when others have not seen it beat. So a process
//! with thousands of mailboxes renews one row, and a dead one loses all of its leases in one statement.

use sea_orm_migration::{
    prelude::{
        DbErr, DeriveMigrationName, ForeignKey, ForeignKeyAction, Index, MigrationTrait, SchemaManager, Table,
        async_trait,
    },
    schema::{big_integer, integer, pk_uuid, text, timestamp_with_time_zone, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let watchers = Table::create()
            .table("mailbox_watchers")
            .col(pk_uuid("id"))
            .col(integer("capacity"))
            .col(big_integer("beat"))
            .col(timestamp_with_time_zone("joined_at"))
            .take();
        manager.create_table(watchers).await?;
        let leases = Table::create()
            .table("mailbox_leases")
            .col(pk_uuid("account_id"))
            .col(uuid("tenant_id"))
            .col(uuid("watcher_id"))
            .foreign_key(
                ForeignKey::create()
                    .from("mailbox_leases", "watcher_id")
                    .to("mailbox_watchers", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .take();
        manager.create_table(leases).await?;
        let by_watcher =
            Index::create().name("mailbox_leases_by_watcher").table("mailbox_leases").col("watcher_id").take();
        manager.create_index(by_watcher).await?;
        let setbacks = Table::create()
            .table("mailbox_setbacks")
            .col(uuid("account_id"))
            .col(text("way"))
            .col(uuid("tenant_id"))
            .col(integer("failures"))
            .col(timestamp_with_time_zone("retry_at"))
            .col(text("error"))
            .primary_key(Index::create().col("account_id").col("way"))
            .take();
        manager.create_table(setbacks).await?;
        let cursors = Table::alter().table("mailbox_cursors").add_column(big_integer("doubt_below").default(0)).take();
        manager.alter_table(cursors).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("mailbox_cursors").drop_column("doubt_below").take()).await?;
        manager.drop_table(Table::drop().table("mailbox_setbacks").take()).await?;
        manager.drop_table(Table::drop().table("mailbox_leases").take()).await?;
        manager.drop_table(Table::drop().table("mailbox_watchers").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
