//! Every test is a test of secrets, too: those that were planted stand nowhere at its end, neither in a log, nor in what Redis wrote to
//! its disk, nor in the database, nor among the objects.

use std::io::Write as _;
use std::process::{Command, Stdio};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::Platform;
use crate::canaries;

/// What the first start prints once on purpose.
const SHOWN: &str = "platform key (shown once): ";
/// What is not the product's, and the file that holds the platform's key on purpose.
const ELSEWHERE: [&str; 2] = ["sandbox.log", "platform_key"];
/// The outside world, and the files of a PostgreSQL whose tables are read instead.
const FOLDERS_ELSEWHERE: [&str; 2] = ["sandbox", "postgres"];
/// Rows of one table that are looked at; tests that make more make them all alike.
const ROWS: u32 = 20_000;

impl Platform {
    /// # Panics
    /// When a planted secret stands in anything that the processes wrote; the message says where.
    pub async fn no_secret_is_told(&self) {
        let told = self.told().await;
        assert!(told.is_empty(), "secrets were told:\n{}", told.join("\n"));
    }

    /// Where planted secrets stand: the file or the table, and as much of the line as tells what it is.
    pub async fn told(&self) -> Vec<String> {
        let forms = canaries::forms();
        let mut found = self.told_in_files(&forms);
        found.extend(self.told_in_rows(&forms).await);
        found
    }

    /// The same of each key of Redis as it stands now, whatever its type.
    pub async fn told_in_keys(&self) -> Vec<String> {
        let forms = canaries::forms();
        let mut redis = self.redis().connection().await;
        // What is compressed cannot be searched.
        let plain: redis::RedisResult<()> =
            redis::cmd("CONFIG").arg("SET").arg("rdbcompression").arg("no").query_async(&mut redis).await;
        plain.expect("turn compression off");
        let (mut found, mut cursor) = (Vec::new(), 0_u64);
        loop {
            let scanned: redis::RedisResult<(u64, Vec<Vec<u8>>)> =
                redis::cmd("SCAN").arg(cursor).arg("COUNT").arg(500).query_async(&mut redis).await;
            let (next, keys) = scanned.expect("scan the keys");
            for key in keys {
                let value: Option<Vec<u8>> =
                    redis::cmd("DUMP").arg(&key).query_async(&mut redis).await.expect("dump a key");
                let (key, value) = (String::from_utf8_lossy(&key), value.unwrap_or_default());
                let text = format!("{key} {}", String::from_utf8_lossy(&value));
                found.extend(canaries::told(&text, &forms).map(|told| format!("key {key}: {told}")));
            }
            cursor = next;
            if cursor == 0 {
                return found;
            }
        }
    }

    pub(super) fn told_in_files(&self, forms: &[String]) -> Vec<String> {
        let mut grep = Command::new("grep");
        grep.args(["--recursive", "--text", "--fixed-strings", "--max-count=5", "--file=-"]);
        grep.args(ELSEWHERE.map(|name| format!("--exclude={name}")));
        grep.args(FOLDERS_ELSEWHERE.map(|name| format!("--exclude-dir={name}")));
        let grep = grep.arg("--").arg(self.folder()).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut grep = grep.stderr(Stdio::null()).spawn().expect("run grep");
        grep.stdin.take().expect("grep's input").write_all(forms.join("\n").as_bytes()).expect("say what to look for");
        // A status of 1 means that nothing was found.
        let output = grep.wait_with_output().expect("run grep");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = lines.lines().filter(|line| !line.contains(SHOWN));
        let of = |line: &str| {
            let (file, text) = line.split_once(':').unwrap_or((line, ""));
            format!("{file}: {}", canaries::told(text, forms).unwrap_or_default())
        };
        told.map(of).collect()
    }

    /// SQLite's database is a file in the folder.
    async fn told_in_rows(&self, forms: &[String]) -> Vec<String> {
        if !self.database().url().starts_with("postgres") {
            return Vec::new();
        }
        let connection = self.database().connection().await;
        let query = |sql: String| connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql));
        let tables = "SELECT tablename::text AS text FROM pg_tables WHERE schemaname = 'public'".to_owned();
        let mut found = Vec::new();
        for table in query(tables).await.expect("list the tables") {
            let table: String = table.try_get("", "text").expect("a name");
            let rows = query(format!("SELECT t::text AS text FROM (SELECT * FROM \"{table}\" LIMIT {ROWS}) AS t"));
            for row in rows.await.expect("read a table") {
                let row: String = row.try_get("", "text").expect("a row");
                found.extend(canaries::told(&row, forms).map(|told| format!("table {table}: {told}")));
            }
        }
        connection.close().await.expect("close the connection");
        found
    }
}
