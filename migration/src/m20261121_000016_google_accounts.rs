//! Mailboxes that log in with a Google account: the grant and its tokens, the consents that were asked for, and what
//! happened to an account for its owner to see.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{
        big_integer, integer, pk_uuid, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
        uuid_null,
    },
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let login = text("login").default("password").take();
        manager.alter_table(Table::alter().table("accounts").add_column(login).take()).await?;
        manager
            .create_table(
                Table::create()
                    .table("google_grants")
                    .col(pk_uuid("account_id"))
                    .col(uuid("tenant_id"))
                    .col(text("refresh_token_sealed"))
                    .col(text("access_token_sealed"))
                    .col(timestamp_with_time_zone_null("access_expires_at"))
                    .col(big_integer("version"))
                    .col(uuid_null("holder"))
                    .col(timestamp_with_time_zone_null("held_from"))
                    .col(timestamp_with_time_zone_null("held_until"))
                    .col(integer("failures"))
                    .col(text_null("problem"))
                    .col(timestamp_with_time_zone("granted_at"))
                    .col(timestamp_with_time_zone_null("refreshed_at"))
                    .foreign_key(ForeignKey::create().from("google_grants", "account_id").to("accounts", "id"))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("google_consents")
                    .col(pk_uuid("id"))
                    .col(uuid("tenant_id"))
                    .col(uuid("account_id"))
                    .col(text("verifier_sealed"))
                    .col(text("code_sealed"))
                    .col(text("state"))
                    .col(text_null("reason"))
                    .col(timestamp_with_time_zone("expires_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(ForeignKey::create().from("google_consents", "account_id").to("accounts", "id"))
                    .take(),
            )
            .await?;
        let by_account =
            Index::create().name("google_consents_by_account").table("google_consents").col("account_id").take();
        manager.create_index(by_account).await?;
        manager
            .create_table(
                Table::create()
                    .table("account_events")
                    .col(pk_uuid("id"))
                    .col(uuid("tenant_id"))
                    .col(uuid("account_id"))
                    .col(text("kind"))
                    .col(text_null("detail"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(ForeignKey::create().from("account_events", "account_id").to("accounts", "id"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("account_events_by_time")
                    .table("account_events")
                    .col("account_id")
                    .col("created_at")
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("account_events").take()).await?;
        manager.drop_table(Table::drop().table("google_consents").take()).await?;
        manager.drop_table(Table::drop().table("google_grants").take()).await?;
        manager.alter_table(Table::alter().table("accounts").drop_column("login").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
