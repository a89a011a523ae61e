//! Businesses and the keys that open the API to them.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{
        big_integer, integer, pk_uuid, text, text_null, text_uniq, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid_null,
    },
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("tenants")
                    .col(pk_uuid("id"))
                    .col(text("name"))
                    .col(text("currency"))
                    .col(text("tax_rate"))
                    .col(text("tax_label"))
                    .col(text("time_zone"))
                    .col(text("language"))
                    .col(text("brand_color"))
                    .col(text_null("logo_key"))
                    .col(text("sender_details"))
                    .col(text("quote_prefix"))
                    .col(big_integer("quote_next_number"))
                    .col(integer("quote_validity_days"))
                    .col(text("state"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .take(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("api_keys")
                    .col(pk_uuid("id"))
                    .col(uuid_null("tenant_id"))
                    .col(text("name"))
                    .col(text("role"))
                    .col(text_uniq("prefix"))
                    .col(text("hash"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone_null("last_used_at"))
                    .col(timestamp_with_time_zone_null("revoked_at"))
                    .foreign_key(ForeignKey::create().from("api_keys", "tenant_id").to("tenants", "id"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("api_keys_by_tenant").table("api_keys").col("tenant_id").col("created_at").take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("api_keys").take()).await?;
        manager.drop_table(Table::drop().table("tenants").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
