//! Each duty against a Redis and a database of its own, with a clock that the test moves.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers, too")]

/// Declares each test twice: `NAME::sqlite` and `NAME::postgres`.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use crate::office::Office;
            use postrider_tests::DatabaseKind;

            #[tokio::test]
            async fn sqlite() {
                super::$name(Office::open(DatabaseKind::Sqlite).await).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name(Office::open(DatabaseKind::Postgres).await).await;
            }
        })+
    };
}

mod archiver;
mod drafts;
mod feeder;
mod office;
mod pruner;
mod relay;
mod resolver;
mod several_servers;
mod sweeper;
mod timekeeper;
mod timetable;
