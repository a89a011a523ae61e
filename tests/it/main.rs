//! Behaviour tests through the processes' own interfaces, in one binary: one file per subject.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers, too")]

/// Declares each test twice: `NAME::sqlite` and `NAME::postgres` call the function `NAME(DatabaseKind)` of the module.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use postrider_tests::DatabaseKind;

            #[tokio::test]
            async fn sqlite() {
                super::$name(DatabaseKind::Sqlite).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name(DatabaseKind::Postgres).await;
            }
        })+
    };
}

mod amendments;
mod architecture;
mod automatic_mail;
mod backlog;
mod bad_input;
mod batch_submissions;
mod bench;
mod canaries;
mod cancel_jobs;
mod changed_addresses;
mod concurrent_changes;
mod configuration;
mod curl;
mod dead_letters;
mod decisions;
mod delete_tenant;
mod documents;
mod duplicates;
mod egress;
mod extract_request;
mod full_disks;
mod gmail_accounts;
mod gmail_api;
mod gmail_doubt;
mod harness;
mod hostile_documents;
mod hostile_mail;
mod identity;
mod job_batches;
mod jobs;
mod kill_pipeline;
mod kill_redis;
mod kill_worker;
mod large_payloads;
mod little_room;
mod live;
mod long_streams;
mod lost_commits;
mod mail_servers;
mod malware;
mod migrations;
mod oidc;
mod openapi;
mod pictures;
mod pipeline;
mod poll_mailbox;
mod provider_limits;
mod quote_life;
mod quotes;
mod restored_mailboxes;
mod rotate_secrets;
mod send_email;
mod several_servers;
mod silent_servers;
mod start_up;
mod stock_storage;
mod suspended_tenants;
mod threads;
mod unfetchable_mails;
mod waiting_jobs;
mod watch_mailboxes;
