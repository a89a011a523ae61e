//! `deploy/up --live`: real accounts are named and confirmed before anything starts, and get no sample mail. The sandbox stands in
//! for the real servers, which the script knows nothing of.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use postrider_tests::process::Recipe;
use postrider_tests::{Process, Sandbox, binaries, settings};
use serde_json::{Value, json};
use tempfile::TempDir;

const ADDRESS: &str = "anfragen@lindner-schilder.example";

/// Servers, and a folder that names an account on them.
struct World {
    sandbox: Sandbox,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(folder.path(), None).await;
        sandbox.client().create_mailbox(ADDRESS, "real password").await.unwrap();
        let world = Self { sandbox, folder };
        // Everything a careless copy of the samples' folder holds, the mails too.
        std::fs::create_dir(world.accounts()).unwrap();
        for entry in std::fs::read_dir(binaries::repository().join("deploy/samples")).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, world.accounts().join(path.file_name().unwrap())).unwrap();
        }
        world.name_mailbox(ADDRESS);
        world
    }

    fn accounts(&self) -> PathBuf {
        self.folder.path().join("accounts")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn name_mailbox(&self, address: &str) {
        let (imap, smtp) = (self.sandbox.addresses().imap, self.sandbox.addresses().smtp);
        let mailbox = json!({
            "address": address,
            "imap_host": "127.0.0.1", "imap_port": imap.port(), "imap_security": "plain",
            "smtp_host": "127.0.0.1", "smtp_port": smtp.port(), "smtp_security": "plain",
            "password": "real password",
            "poll_interval_seconds": 1,
        });
        std::fs::write(self.accounts().join("mailbox.json"), mailbox.to_string()).unwrap();
    }

    fn arguments(&self) -> Vec<String> {
        ["--live".into(), self.accounts().display().to_string(), "--data".into(), self.data().display().to_string()]
            .to_vec()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let programs = binaries::program("postrider-demo").parent().unwrap().display().to_string();
        [
            ("POSTRIDER_BIN_DIR", programs),
            ("OPENAI_API_KEY", "sk-real".to_owned()),
            // As whoever has a mail server on this machine says.
            ("ALLOWED_PRIVATE_NETWORKS", "127.0.0.1".to_owned()),
            ("OPENAI_BASE_URL", self.sandbox.addresses().openai_base_url.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// `deploy/up` without a terminal.
    fn up(&self, more: &[&str]) -> Process {
        let mut arguments = self.arguments();
        arguments.extend(more.iter().map(ToString::to_string));
        Process::spawn(Recipe {
            name: "up".to_owned(),
            program: up(),
            arguments,
            environment: self.environment(),
            privileges: Vec::new(),
            log: self.folder.path().join("up.log"),
            ready: "Stays up until Ctrl-C".to_owned(),
        })
    }

    /// `deploy/up --exit` at a terminal at which somebody types `answer`: how it ended, and what was to be read.
    fn up_at_a_terminal(&self, answer: &str) -> (ExitStatus, String) {
        let words = self.arguments().join(" ");
        let child = Command::new("script")
            .args(["--quiet", "--return", "--command", &format!("{} {words} --exit", up().display()), "/dev/null"])
            .env_clear()
            .envs(settings::inherited())
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_ref().unwrap(), "{answer}").unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status, String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn nobody_was_there(&self) {
        assert!(!self.data().exists(), "a refusal leaves nothing behind");
        assert!(self.sandbox.accepted().await.is_empty());
        assert_eq!(self.sandbox.client().messages(ADDRESS).await.unwrap().len(), 0);
    }
}

fn up() -> PathBuf {
    binaries::repository().join("deploy/up")
}

fn pid_files(data: &Path) -> usize {
    let files = std::fs::read_dir(data.join("live/run")).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "pid")).count()
}

async fn ended(up: &Process) -> ExitStatus {
    postrider_tests::eventually("deploy/up to end", || async { up.exit_status() }).await
}

#[tokio::test]
async fn heavy_a_confirmed_live_start_serves_real_accounts_and_delivers_no_sample() {
    let world = World::new().await;
    let up = world.up(&["--yes"]);
    up.ready().await;
    let said = up.log();
    let named = said.find("These are real accounts").expect("the accounts are named");
    assert!(named < said.find("Redis ").unwrap(), "before anything is started:\n{said}");
    let addresses = world.sandbox.addresses();
    let imap = format!("127.0.0.1:{} (NOT ENCRYPTED) as {ADDRESS}", addresses.imap.port());
    let smtp = format!("127.0.0.1:{} (NOT ENCRYPTED) as {ADDRESS}", addresses.smtp.port());
    for words in [ADDRESS, &imap, &smtp, &addresses.openai_base_url, "gpt-4.1-mini"] {
        assert!(said[named..].contains(words), "{words} is not named:\n{said}");
    }

    let request = std::fs::read(world.accounts().join("1-request.eml")).unwrap();
    let asked = String::from_utf8(request).unwrap().replace("d8f2c1a4-0911@", "a-real-customer@");
    world.sandbox.deliver(ADDRESS, asked.into_bytes()).await;
    let accepted = world.sandbox.accepted_at_least(1).await;
    assert_eq!(accepted[0].rcpt_to, ["aoife@saltandstone.example"]);
    assert_eq!(accepted[0].in_reply_to.as_deref(), Some("a-real-customer@saltandstone.example"));

    // The mail of the customer is all there ever was in the mailbox.
    assert_eq!(world.sandbox.client().messages(ADDRESS).await.unwrap().len(), 1);
    assert_eq!(world.sandbox.accepted().await.len(), 1);
    assert!(pid_files(&world.data()) > 0);
    let status = up.stop(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}");
    assert_eq!(pid_files(&world.data()), 0, "no process is left");

    // The data knows an account that nobody named this time: nothing is asked of either.
    let other = "bestellungen@lindner-schilder.example";
    world.sandbox.client().create_mailbox(other, "real password").await.unwrap();
    world.name_mailbox(other);
    let mut unnamed = std::fs::read_to_string(world.accounts().join("1-request.eml")).unwrap();
    unnamed = unnamed.replace("d8f2c1a4-0911@", "another-customer@");
    world.sandbox.deliver(ADDRESS, unnamed.into_bytes()).await;
    let up = world.up(&["--yes"]);
    let status = ended(&up).await;
    assert!(!status.success());
    assert_eq!(pid_files(&world.data()), 0);
    assert!(up.log().contains(&format!("connects {ADDRESS}")) && up.log().contains("another --data"), "{}", up.log());
    assert_eq!(world.sandbox.accepted().await.len(), 1);
}

#[tokio::test]
async fn heavy_live_asks_at_a_terminal_and_starts_only_at_a_yes() {
    let world = World::new().await;
    for answer in ["no", "", "y"] {
        let (status, said) = world.up_at_a_terminal(answer);
        assert!(!status.success(), "{said}");
        assert!(said.contains(ADDRESS) && said.contains("Not confirmed: nothing was started"), "{said}");
        world.nobody_was_there().await;
    }
    for found in ["quotes in EUR\r", "(found again)"] {
        let (status, said) = world.up_at_a_terminal("yes");
        assert!(status.success(), "{said}");
        assert!(said.contains("Scheduler") && said.contains(found), "{said}");
    }
    assert_eq!(pid_files(&world.data()), 0);
    assert!(world.sandbox.client().messages(ADDRESS).await.unwrap().is_empty());
}

#[tokio::test]
async fn live_without_a_terminal_or_with_gaps_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let up = world.up(&[]);
    assert!(!ended(&up).await.success());
    assert!(up.log().contains("there is no terminal to ask at") && up.log().contains("--yes"), "{}", up.log());
    world.nobody_was_there().await;

    let path = world.accounts().join("mailbox.json");
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (field, value) in [("password", json!("")), ("imap_port", json!(0)), ("smtp_host", Value::Null)] {
        let mut broken = whole.clone();
        broken[field] = value;
        std::fs::write(&path, broken.to_string()).unwrap();
        let up = world.up(&["--yes"]);
        assert!(!ended(&up).await.success(), "{field}");
        assert!(up.log().contains(&format!("`{field}`")), "{}", up.log());
        world.nobody_was_there().await;
    }
}
