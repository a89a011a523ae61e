//! Word to people of what was changed about their account, until it is mailed.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{pk_uuid, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let notices = Table::create()
            .table("notices")
            .col(pk_uuid("id"))
            .col(uuid("user_id"))
            .col(text("kind"))
            .col(text("email"))
            .col(text_null("issuer"))
            .col(timestamp_with_time_zone_null("mailed_at"))
            .col(timestamp_with_time_zone("created_at"))
            .take();
        manager.create_table(notices).await?;
        let by_user = Index::create().name("notices_by_user").table("notices").col("user_id").take();
        manager.create_index(by_user).await?;
        let by_age = Index::create().name("notices_by_age").table("notices").col("created_at").take();
        manager.create_index(by_age).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("notices").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
