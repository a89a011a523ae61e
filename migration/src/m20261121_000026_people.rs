//! People: who they are, which businesses they work for, how they are signed in, and what was mailed to them for it. Codes and
//! invitations are sealed until they are mailed; of tokens only hashes are kept.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, ForeignKey, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{
        boolean, integer, pk_uuid, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
        uuid_null,
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
                    .table("users")
                    .col(pk_uuid("id"))
                    .col(text("email"))
                    .col(text("name"))
                    .col(text_null("password_hash"))
                    .col(boolean("platform_admin"))
                    .col(timestamp_with_time_zone("verified_at"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .take(),
            )
            .await?;
        let by_email = Index::create().name("users_by_email").table("users").col("email").unique().take();
        manager.create_index(by_email).await?;
        manager
            .create_table(
                Table::create()
                    .table("memberships")
                    .col(uuid("tenant_id"))
                    .col(uuid("user_id"))
                    .col(text("role"))
                    .col(timestamp_with_time_zone("created_at"))
                    .primary_key(Index::create().col("tenant_id").col("user_id"))
                    .foreign_key(ForeignKey::create().from("memberships", "tenant_id").to("tenants", "id"))
                    .foreign_key(ForeignKey::create().from("memberships", "user_id").to("users", "id"))
                    .take(),
            )
            .await?;
        let by_user = Index::create().name("memberships_by_user").table("memberships").col("user_id").take();
        manager.create_index(by_user).await?;
        sessions(manager).await?;
        mailed(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in
            ["invitations", "registrations", "one_time_codes", "session_tokens", "sessions", "memberships", "users"]
        {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sessions")
                .col(pk_uuid("id"))
                .col(uuid("user_id"))
                .col(text("carrier"))
                .col(text("client"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("last_used_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(timestamp_with_time_zone_null("ended_at"))
                .col(text_null("ended_by"))
                .foreign_key(ForeignKey::create().from("sessions", "user_id").to("users", "id"))
                .take(),
        )
        .await?;
    let by_user = Index::create().name("sessions_by_user").table("sessions").col("user_id").take();
    manager.create_index(by_user).await?;
    manager
        .create_table(
            Table::create()
                .table("session_tokens")
                .col(text("hash").primary_key().take())
                .col(uuid("session_id"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("seen_at"))
                .col(timestamp_with_time_zone_null("replaced_at"))
                .col(text_null("successor_hash"))
                .col(text_null("successor_seed"))
                .col(text_null("request_hash"))
                .foreign_key(ForeignKey::create().from("session_tokens", "session_id").to("sessions", "id"))
                .take(),
        )
        .await?;
    let by_session = Index::create().name("session_tokens_by_session").table("session_tokens").col("session_id").take();
    manager.create_index(by_session).await
}

async fn mailed(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("one_time_codes")
                .col(pk_uuid("id"))
                .col(text("slot").unique_key().take())
                .col(text("purpose"))
                .col(text("email"))
                .col(uuid_null("user_id"))
                .col(text("code_sealed"))
                .col(integer("tries"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(timestamp_with_time_zone_null("used_at"))
                .col(timestamp_with_time_zone_null("mailed_at"))
                .col(timestamp_with_time_zone("created_at"))
                .take(),
        )
        .await?;
    let by_end = Index::create().name("one_time_codes_by_end").table("one_time_codes").col("expires_at").take();
    manager.create_index(by_end).await?;
    manager
        .create_table(
            Table::create()
                .table("registrations")
                .col(pk_uuid("id"))
                .col(text("email"))
                .col(text("name"))
                .col(text("password_hash"))
                .col(text("tenant_name"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(ForeignKey::create().from("registrations", "id").to("one_time_codes", "id"))
                .take(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table("invitations")
                .col(pk_uuid("id"))
                .col(uuid_null("tenant_id"))
                .col(text("email"))
                .col(text("role"))
                .col(text("invited_by"))
                .col(text("token_hash"))
                .col(text("token_sealed"))
                .col(timestamp_with_time_zone("expires_at"))
                .col(timestamp_with_time_zone_null("accepted_at"))
                .col(timestamp_with_time_zone_null("revoked_at"))
                .col(timestamp_with_time_zone_null("mailed_at"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(ForeignKey::create().from("invitations", "tenant_id").to("tenants", "id"))
                .take(),
        )
        .await?;
    let by_token = Index::create().name("invitations_by_token").table("invitations").col("token_hash").unique().take();
    manager.create_index(by_token).await?;
    let by_tenant = Index::create().name("invitations_by_tenant").table("invitations").col("tenant_id").take();
    manager.create_index(by_tenant).await
}
