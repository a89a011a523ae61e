//! Who somebody is elsewhere, and the keys by which issuers of such words sign.

use sea_orm_migration::{
    prelude::{
        DbErr, DeriveMigrationName, ForeignKey, ForeignKeyAction, Index, MigrationTrait, SchemaManager, Table,
        async_trait,
    },
    schema::{boolean, pk_uuid, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let identities = Table::create()
            .table("identities")
            .col(pk_uuid("id"))
            .col(uuid("user_id"))
            .col(text("issuer"))
            .col(text("subject"))
            .col(text_null("email"))
            .col(boolean("address_proven"))
            .col(timestamp_with_time_zone("created_at"))
            .foreign_key(
                ForeignKey::create()
                    .from("identities", "user_id")
                    .to("users", "id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .take();
        manager.create_table(identities).await?;
        let by_subject = Index::create()
            .name("identities_by_subject")
            .table("identities")
            .col("issuer")
            .col("subject")
            .unique()
            .take();
        manager.create_index(by_subject).await?;
        let by_user = Index::create().name("identities_by_user").table("identities").col("user_id").take();
        manager.create_index(by_user).await?;
        let key_sets = Table::create()
            .table("key_sets")
            .col(text("issuer").primary_key().take())
            .col(text("keys"))
            .col(timestamp_with_time_zone_null("fetched_at"))
            .col(timestamp_with_time_zone_null("expires_at"))
            .col(timestamp_with_time_zone_null("asked_at"))
            .col(timestamp_with_time_zone_null("tried_at"))
            .col(text_null("failure"))
            .take();
        manager.create_table(key_sets).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["key_sets", "identities"] {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
