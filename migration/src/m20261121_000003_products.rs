//! What a tenant sells, and the formula that prices it.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{json_binary, pk_uuid, text, text_null, timestamp_with_time_zone, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("products")
                    .col(pk_uuid("id"))
                    .col(uuid("tenant_id"))
                    .col(text("sku"))
                    .col(text("name"))
                    .col(text("description"))
                    .col(json_binary("aliases"))
                    .col(json_binary("dimensions"))
                    .col(json_binary("materials"))
                    .col(text("unit_label"))
                    .col(text("formula"))
                    .col(text("min_quantity"))
                    .col(text_null("max_quantity"))
                    .col(text("state"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .foreign_key(ForeignKey::create().from("products", "tenant_id").to("tenants", "id"))
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("products_by_sku").table("products").col("tenant_id").col("sku").unique().take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("products").take()).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
