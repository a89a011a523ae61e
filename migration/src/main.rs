//! `postrider-migrate up|down|status`: brings the database named by `DATABASE_URL` to the newest schema, or back.

mod alone;

use std::{io::Write, process::ExitCode};

use alone::Alone;
use clap::{Parser, Subcommand};
use postrider_migration::{Migrator, MigratorTrait};
use sea_orm_migration::{
    DbErr, MigrationStatus,
    sea_orm::{ConnectOptions, Database, DatabaseConnection, sqlx::postgres::PgConnectOptions},
};

#[derive(Parser)]
#[command(name = "postrider-migrate", version, about = "Applies and rolls back Postrider's database schema")]
struct Arguments {
    #[arg(
        long,
        help = "sqlite://path/to/file.db?mode=rwc or postgres://user:password@host/database",
        env = "DATABASE_URL",
        hide_env_values = true
    )]
    database_url: Option<String>,
    #[arg(long, help = "A file that holds that URL", env = "DATABASE_URL_FILE")]
    database_url_file: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Apply every step that is not applied yet (safe to repeat)
    Up,
    /// Roll back the newest steps
    Down {
        /// How many steps; the data they hold is lost
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List the steps and whether each is applied
    Status,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    match run(&arguments).await {
        Ok(text) => {
            // A closed pipe is the reader's business; the schema is already changed.
            let _ = out.write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "postrider-migrate: {}", words(&error));
            ExitCode::FAILURE
        }
    }
}

/// Our own words as they are, without the kind of error that carries them.
fn words(error: &DbErr) -> String {
    match error {
        DbErr::Custom(text) => text.clone(),
        error => error.to_string(),
    }
}

/// An empty setting is none, as for the other processes.
fn database_url(arguments: &Arguments) -> Result<String, DbErr> {
    let url = arguments.database_url.as_deref().map(without_line_break).filter(|url| !url.is_empty());
    let path = arguments.database_url_file.as_deref().map(str::trim).filter(|path| !path.is_empty());
    let path = match (url, path) {
        (Some(url), None) => return checked(url),
        (None, Some(path)) => path,
        (Some(_), Some(_)) => {
            let both = "DATABASE_URL and DATABASE_URL_FILE are both set: which one counts?";
            return Err(DbErr::Custom(both.to_owned()));
        }
        (None, None) => return Err(DbErr::Custom("DATABASE_URL is not set".to_owned())),
    };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| DbErr::Custom(format!("DATABASE_URL_FILE: `{path}` cannot be read: {error}")))?;
    checked(without_line_break(&text))
}

fn without_line_break(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

/// The driver would tell the whole of a URL that it cannot use, with the password.
fn checked(url: &str) -> Result<String, DbErr> {
    if !["sqlite:", "postgres://", "postgresql://"].iter().any(|start| url.starts_with(start)) {
        let start = "DATABASE_URL: must start with sqlite: or postgres:// or postgresql://";
        return Err(DbErr::Custom(start.to_owned()));
    }
    match url::Url::parse(url) {
        Ok(_) => Ok(url.to_owned()),
        Err(error) => Err(DbErr::Custom(format!(
            "DATABASE_URL: is not a URL ({error}); in a password : / ? # [ ] @ and % are written as %3A %2F %3F %23 %5B %5D %40 and %25"
        ))),
    }
}

async fn run(arguments: &Arguments) -> Result<String, DbErr> {
    let mut options = ConnectOptions::new(database_url(arguments)?);
    options.max_connections(1).sqlx_logging(false).map_sqlx_postgres_opts(without_brackets);
    let opened = Database::connect(options).await;
    let database =
        opened.map_err(|error| DbErr::Custom(format!("DATABASE_URL: the database cannot be opened: {error}")))?;
    match arguments.command {
        Command::Up => {
            let _alone = Alone::with(&database).await?;
            let later = later(&database).await?;
            if later > 0 {
                return Ok(format!("schema is that of a later version, {later} steps ahead: nothing to apply\n"));
            }
            let pending = Migrator::get_pending_migrations(&database).await?.len();
            Migrator::up(&database, None).await?;
            Ok(format!("schema is up to date, {pending} steps applied\n"))
        }
        Command::Down { steps } => {
            let _alone = Alone::with(&database).await?;
            let before = Migrator::get_applied_migrations(&database).await?.len();
            Migrator::down(&database, Some(steps)).await?;
            let after = Migrator::get_applied_migrations(&database).await?.len();
            Ok(format!("{} steps rolled back, {after} are left\n", before - after))
        }
        Command::Status => {
            let steps = Migrator::get_migration_with_status(&database).await?;
            let mut text = String::new();
            for step in &steps {
                let state = match step.status() {
                    MigrationStatus::Applied => "applied",
                    MigrationStatus::Pending => "pending",
                };
                text.push_str(&[state, "  ", step.name(), "\n"].concat());
            }
            Ok(text)
        }
    }
}

/// The driver takes the brackets of an IPv6 address in a URL for a part of a host's name.
fn without_brackets(options: PgConnectOptions) -> PgConnectOptions {
    let bare = options.get_host().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
    match bare {
        Some(address) => options.host(&address),
        None => options,
    }
}

/// How many steps the schema is ahead of this version, which works with it all the same: replicas of the version before, each of which
/// migrates first, start during an upgrade, too. None, if a step of this version is missing as well: what that is, the migrator says.
async fn later(database: &DatabaseConnection) -> Result<usize, DbErr> {
    let applied = Migrator::get_migration_models(database).await?;
    let ours = Migrator::migrations();
    let is_ours = |version: &str| ours.iter().any(|step| step.name() == version);
    let later = applied.iter().filter(|step| !is_ours(&step.version)).count();
    Ok(if applied.len() - later == ours.len() { later } else { 0 })
}

#[cfg(test)]
mod tests {
    use sea_orm_migration::sea_orm::{ConnectionTrait as _, Database};

    use super::{Arguments, Command, Migrator, MigratorTrait as _, database_url};

    #[test]
    fn the_url_stands_in_one_of_two_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        std::fs::write(&path, "sqlite://b.db\n").unwrap();
        let of = |url: &str, path: &str| {
            let (database_url, database_url_file) = (Some(url.to_owned()), Some(path.to_owned()));
            super::database_url(&Arguments { database_url, database_url_file, command: Command::Status })
        };
        assert_eq!(of("sqlite://a.db", "").unwrap(), "sqlite://a.db");
        assert_eq!(of("", path.to_str().unwrap()).unwrap(), "sqlite://b.db");
        assert!(of("", "").unwrap_err().to_string().ends_with("DATABASE_URL is not set"));
        assert!(of("sqlite://a.db", path.to_str().unwrap()).unwrap_err().to_string().contains("both set"));
        std::fs::write(&path, "sqlite://b.db\r\n").unwrap();
        assert_eq!(of("\n", path.to_str().unwrap()).unwrap(), "sqlite://b.db");
        assert_eq!(of("sqlite://a.db\r\n", "").unwrap(), "sqlite://a.db");
        let neither = Arguments { database_url: None, database_url_file: None, command: Command::Status };
        assert!(database_url(&neither).is_err());
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_its_password() {
        for url in [
            "mysql://u:hunter2@h/db",
            " postgres://u:hunter2@h/db",
            "postgres://u:hunter2@h:99999/db",
            "postgres://u:hunter2/@h/db",
            "postgres://u:hunter2@[::1/db",
        ] {
            let arguments =
                Arguments { database_url: Some(url.to_owned()), database_url_file: None, command: Command::Status };
            let error = database_url(&arguments).unwrap_err().to_string();
            assert!(error.contains("DATABASE_URL: ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_done_is_told_in_words_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let run = async |path: &str, command: Command| {
            let url = format!("sqlite://{}?mode=rwc", folder.path().join(path).display());
            super::run(&Arguments { database_url: Some(url), database_url_file: None, command }).await
        };
        let error = run("missing/postrider.db", Command::Up).await.unwrap_err();
        assert!(super::words(&error).starts_with("DATABASE_URL: the database cannot be opened: "), "{error}");
        run("postrider.db", Command::Up).await.unwrap();
        let all = Migrator::migrations().len();
        let told = [
            format!("2 steps rolled back, {} are left\n", all - 2),
            format!("{} steps rolled back, 0 are left\n", all - 2),
        ];
        assert_eq!(run("postrider.db", Command::Down { steps: 2 }).await.unwrap(), told[0]);
        assert_eq!(run("postrider.db", Command::Down { steps: 999 }).await.unwrap(), told[1], "more than there are");
    }

    /// Each replica migrates first, that of the version before, too, when it is started again after a newer one has migrated.
    #[tokio::test]
    async fn a_replica_of_the_version_before_starts_during_an_upgrade() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("postrider.db").display());
        let run = async |command: Command| {
            super::run(&Arguments { database_url: Some(url.clone()), database_url_file: None, command }).await
        };
        assert!(run(Command::Up).await.unwrap().contains("up to date"));
        let database = Database::connect(&url).await.unwrap();
        let step = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_later', 0)";
        database.execute_unprepared(step).await.unwrap();
        let again = run(Command::Up).await.unwrap();
        assert!(again.contains("1 steps ahead"), "{again}");
        // What it does not know it cannot take back, and what it lacks it does not guess.
        assert!(run(Command::Down { steps: 1 }).await.is_err());
        let lacking = "DELETE FROM seaql_migrations WHERE version LIKE '%_outbox_turns'";
        database.execute_unprepared(lacking).await.unwrap();
        assert!(run(Command::Up).await.is_err());
    }
}
