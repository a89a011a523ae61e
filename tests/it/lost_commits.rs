//! The answer to a commit is lost together with the connection: what was committed counts.

use postrider_migration::{Migrator, MigratorTrait as _};
use postrider_tests::{DatabaseKind, Platform, eventually, mails, postgres};
use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};

const REQUEST: &str = "01-de-banner-vereinsfest.eml";

/// The commit right before DATA waits for a standby that never comes: the server keeps what it commits, and ends the connection
/// in the place of an answer.
const UNANSWERED: [&str; 2] = [
    "CREATE FUNCTION unanswered() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN PERFORM set_config('synchronous_commit', 'on', true); RETURN NEW; END $$",
    "CREATE TRIGGER unanswered BEFORE UPDATE ON messages FOR EACH ROW \
     WHEN (OLD.data_started_at IS NULL AND NEW.data_started_at IS NOT NULL) EXECUTE FUNCTION unanswered()",
];

#[tokio::test]
async fn a_reply_goes_out_although_the_commit_before_its_data_is_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = postgres::Server::start(folder.path(), false).await;
    let at = |database: &str| format!("{}/{database}", server.base_url());
    let first = Database::connect(at("postgres")).await.unwrap();
    for sql in ["CREATE DATABASE shop", "ALTER ROLE postgres SET synchronous_commit = local"] {
        first.execute_unprepared(sql).await.unwrap();
    }
    first.close().await.unwrap();
    let shop = Database::connect(at("shop")).await.unwrap();
    Migrator::up(&shop, None).await.unwrap();
    for sql in UNANSWERED {
        shop.execute_unprepared(sql).await.unwrap();
    }
    for sql in ["ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"] {
        shop.execute_unprepared(sql).await.unwrap();
    }

    let platform = Platform::with(DatabaseKind::Sqlite).setting("DATABASE_URL", &at("shop")).start().await;
    let office = platform.workshop(86_400).await;
    platform.sandbox().deliver(&office.address, mails::mail(REQUEST).raw).await;
    office.poll().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    eventually("the commit that waits", || async {
        let cut = Statement::from_string(DbBackend::Postgres, cut);
        shop.query_one_raw(cut).await.unwrap().map(|_| ())
    })
    .await;
    let message = eventually("the end of the message", || async {
        let message = office.api.all("/v1/messages").await.pop()?;
        ["accepted", "unknown", "failed"].iter().any(|state| message["state"] == *state).then_some(message)
    })
    .await;
    assert_eq!(message["state"], "accepted", "{message}");
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}
