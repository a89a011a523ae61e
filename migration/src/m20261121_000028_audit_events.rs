//! Who changed or saw what. Rows are only ever added: the database itself refuses to change or remove one, whoever asks. There are no
//! foreign keys, so that the log of a tenant outlives it.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, Index, MigrationTrait, SchemaManager, Table, async_trait},
    schema::{pk_uuid, text, text_null, timestamp_with_time_zone, uuid, uuid_null},
    sea_orm::{ConnectionTrait as _, DbBackend},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const SQLITE: &[&str] = &[
    "CREATE TRIGGER audit_events_stay BEFORE UPDATE ON audit_events
     BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END",
    "CREATE TRIGGER audit_events_remain BEFORE DELETE ON audit_events
     BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END",
];
const POSTGRES: &[&str] = &[
    "CREATE FUNCTION audit_events_refuse() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN RAISE EXCEPTION 'audit_events is append-only'; END $$",
    "CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
     FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let events = Table::create()
            .table("audit_events")
            .col(pk_uuid("id"))
            .col(timestamp_with_time_zone("at"))
            .col(uuid_null("tenant_id"))
            .col(text("actor_kind"))
            .col(uuid("actor_id"))
            .col(text_null("actor_name"))
            .col(text("request_id"))
            .col(text_null("ip"))
            .col(text("operation"))
            .col(text("kind"))
            .col(text("resource"))
            .col(text_null("subject_id"))
            .col(text_null("before"))
            .col(text_null("after"))
            .col(text("outcome"))
            .take();
        manager.create_table(events).await?;
        for (name, column) in [
            ("audit_events_by_time", None),
            ("audit_events_by_tenant", Some("tenant_id")),
            ("audit_events_by_actor", Some("actor_id")),
            ("audit_events_by_subject", Some("subject_id")),
        ] {
            let mut index = Index::create();
            index.name(name).table("audit_events");
            if let Some(column) = column {
                index.col(column);
            }
            manager.create_index(index.col("at").col("id").take()).await?;
        }
        let triggers = if manager.get_database_backend() == DbBackend::Sqlite { SQLITE } else { POSTGRES };
        for trigger in triggers {
            manager.get_connection().execute_unprepared(trigger).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("audit_events").take()).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared("DROP FUNCTION audit_events_refuse()").await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
