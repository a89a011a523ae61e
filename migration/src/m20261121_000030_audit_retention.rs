//! Events of those who are nobody yet (strangers who sign in, customers behind a link) or no person at all (the product itself), events
//! that stand for many of a kind, and an end to keeping them.
//!
//! The tables still refuse every change. A row may be removed once it is older than the one row of `audit_retention` says; that row only
//! moves forward, and by the database's own clock never closer than thirty days, whoever asks.

use sea_orm_migration::{
    prelude::{DbErr, DeriveMigrationName, MigrationTrait, SchemaManager, async_trait},
    sea_orm::{ConnectionTrait as _, DbBackend},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COLUMNS: &str = "id, at, tenant_id, actor_kind, actor_id, actor_name, request_id, ip, operation, kind, resource, subject_id, \
                       before, after, outcome";

/// SQLite cannot let a column be null that was not: the table is made anew.
fn sqlite_table(actor: &str, more: &str) -> Vec<String> {
    let table = format!(
        "CREATE TABLE audit_events_anew (
            id uuid_text NOT NULL PRIMARY KEY, at timestamp_with_timezone_text NOT NULL, tenant_id uuid_text,
            actor_kind text NOT NULL, actor_id uuid_text {actor}, actor_name text, request_id text NOT NULL, ip text,
            operation text NOT NULL, kind text NOT NULL, resource text NOT NULL, subject_id text, before text, after text,
            outcome text NOT NULL{more})"
    );
    vec![
        "DROP TRIGGER audit_events_stay".to_owned(),
        "DROP TRIGGER audit_events_remain".to_owned(),
        table,
        format!("INSERT INTO audit_events_anew ({COLUMNS}) SELECT {COLUMNS} FROM audit_events"),
        "DROP TABLE audit_events".to_owned(),
        "ALTER TABLE audit_events_anew RENAME TO audit_events".to_owned(),
        "CREATE INDEX audit_events_by_time ON audit_events (at, id)".to_owned(),
        "CREATE INDEX audit_events_by_tenant ON audit_events (tenant_id, at, id)".to_owned(),
        "CREATE INDEX audit_events_by_actor ON audit_events (actor_id, at, id)".to_owned(),
        "CREATE INDEX audit_events_by_subject ON audit_events (subject_id, at, id)".to_owned(),
        "CREATE TRIGGER audit_events_stay BEFORE UPDATE ON audit_events
         BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END"
            .to_owned(),
    ]
}

const SQLITE_UP: &[&str] = &[
    "CREATE TRIGGER audit_events_remain BEFORE DELETE ON audit_events
     WHEN NOT COALESCE(OLD.at < (SELECT keep_from FROM audit_retention WHERE id = 1), 0)
     BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END",
    "CREATE TRIGGER audit_retention_moves_forward BEFORE UPDATE ON audit_retention
     WHEN NEW.keep_from < OLD.keep_from OR NEW.keep_from > strftime('%Y-%m-%dT%H:%M:%S', 'now', '-30 days')
     BEGIN SELECT RAISE(ABORT, 'audit_retention moves forward, and not closer than 30 days'); END",
    "CREATE TRIGGER audit_retention_remains BEFORE DELETE ON audit_retention
     BEGIN SELECT RAISE(ABORT, 'audit_retention remains'); END",
];
const SQLITE_DOWN: &[&str] = &["CREATE TRIGGER audit_events_remain BEFORE DELETE ON audit_events
     BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END"];

const POSTGRES_UP: &[&str] = &[
    "ALTER TABLE audit_events ALTER COLUMN actor_id DROP NOT NULL",
    "ALTER TABLE audit_events ADD COLUMN times integer NOT NULL DEFAULT 1",
    "DROP TRIGGER audit_events_stay ON audit_events",
    "CREATE TRIGGER audit_events_stay BEFORE UPDATE OR TRUNCATE ON audit_events
     FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()",
    "CREATE FUNCTION audit_events_expire() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN
        IF OLD.at < (SELECT keep_from FROM audit_retention WHERE id = 1) THEN RETURN OLD; END IF;
        RAISE EXCEPTION 'audit_events is append-only';
     END $$",
    "CREATE TRIGGER audit_events_remain BEFORE DELETE ON audit_events
     FOR EACH ROW EXECUTE FUNCTION audit_events_expire()",
    "CREATE FUNCTION audit_retention_refuse() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF NEW.keep_from >= OLD.keep_from AND NEW.keep_from <= now() - interval '30 days' THEN RETURN NEW; END IF;
        END IF;
        RAISE EXCEPTION 'audit_retention moves forward, and not closer than 30 days';
     END $$",
    "CREATE TRIGGER audit_retention_moves_forward BEFORE UPDATE OR DELETE ON audit_retention
     FOR EACH ROW EXECUTE FUNCTION audit_retention_refuse()",
];
const POSTGRES_DOWN: &[&str] = &[
    "DROP TRIGGER audit_events_remain ON audit_events",
    "DROP TRIGGER audit_events_stay ON audit_events",
    "DROP FUNCTION audit_events_expire()",
    "DROP TABLE audit_retention",
    "DROP FUNCTION audit_retention_refuse()",
    "DELETE FROM audit_events WHERE actor_id IS NULL",
    "ALTER TABLE audit_events DROP COLUMN times",
    "ALTER TABLE audit_events ALTER COLUMN actor_id SET NOT NULL",
    "CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
     FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let (table, time, steps) = match manager.get_database_backend() {
            DbBackend::Sqlite => {
                (sqlite_table("", ", times integer NOT NULL DEFAULT 1"), "timestamp_with_timezone_text", SQLITE_UP)
            }
            _ => (Vec::new(), "timestamp with time zone", POSTGRES_UP),
        };
        for step in table {
            connection.execute_unprepared(&step).await?;
        }
        let retention =
            format!("CREATE TABLE audit_retention (id integer NOT NULL PRIMARY KEY, keep_from {time} NOT NULL)");
        connection.execute_unprepared(&retention).await?;
        let row = "INSERT INTO audit_retention (id, keep_from) VALUES (1, '1970-01-01T00:00:00+00:00')";
        connection.execute_unprepared(row).await?;
        for step in steps {
            connection.execute_unprepared(step).await?;
        }
        Ok(())
    }

    /// Events of nobody in particular are lost.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        if manager.get_database_backend() != DbBackend::Sqlite {
            for step in POSTGRES_DOWN {
                connection.execute_unprepared(step).await?;
            }
            return Ok(());
        }
        let mut table = sqlite_table("NOT NULL", "");
        table[3].push_str(" WHERE actor_id IS NOT NULL");
        for step in
            table.iter().map(String::as_str).chain(["DROP TABLE audit_retention"]).chain(SQLITE_DOWN.iter().copied())
        {
            connection.execute_unprepared(step).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
