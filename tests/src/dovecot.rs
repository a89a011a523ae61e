//! A private Dovecot: the IMAP server most mailboxes of the world stand on. It needs no privileges; as root it runs as `nobody`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::certificate::{Certificate, run};
use crate::ports::Port;
use crate::process::{Process, Recipe};
use crate::wait::{DEADLINE, poll_until};

/// The user by whom the harness looks whether the server is there.
const OURS: (&str, &str) = ("harness@localhost", "harness");

/// Ends when dropped.
#[derive(Debug)]
pub struct Dovecot {
    // In the order in which they must go.
    process: Process,
    starttls: Port,
    tls: Port,
    users: Vec<(String, String)>,
    data: TempDir,
}

impl Dovecot {
    /// With these users (name and password), whose mail lies in Maildirs. Its log is in `log_folder`.
    pub async fn start(log_folder: &Path, users: &[(&str, &str)], certificate: &Certificate) -> Self {
        Self::start_asking(log_folder, users, certificate, None).await
    }

    /// With XOAUTH2, too: what opens a mailbox is a token that this endpoint says belongs to it.
    pub async fn start_with_tokens(
        log_folder: &Path,
        users: &[(&str, &str)],
        certificate: &Certificate,
        userinfo_url: &str,
    ) -> Self {
        Self::start_asking(log_folder, users, certificate, Some(userinfo_url)).await
    }

    async fn start_asking(
        log_folder: &Path,
        users: &[(&str, &str)],
        certificate: &Certificate,
        userinfo_url: Option<&str>,
    ) -> Self {
        let data = tempfile::Builder::new().prefix("postrider-dovecot-").tempdir().expect("make Dovecot's folder");
        let (starttls, tls) = (Port::reserve(), Port::reserve());
        let path = data.path();
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text).expect("write Dovecot's settings");
        for folder in ["mail", "home", "state"] {
            std::fs::create_dir(path.join(folder)).expect("make Dovecot's folders");
        }
        std::fs::copy(&certificate.file, path.join("server.pem")).expect("copy the certificate");
        std::fs::copy(&certificate.key, path.join("server.key")).expect("copy the certificate's key");
        let users: Vec<(String, String)> =
            users.iter().chain([&OURS]).map(|(name, password)| ((*name).to_owned(), (*password).to_owned())).collect();
        let passwords: Vec<String> =
            users.iter().map(|(name, password)| format!("{name}:{{PLAIN}}{password}")).collect();
        write("users", &passwords.join("\n"));
        let user = user();
        let tokens = match userinfo_url {
            Some(url) => tokens(path, url),
            None => Tokens::default(),
        };
        write("tokens.conf", &tokens.endpoint);
        write("dovecot.conf", &configuration(path, &user, starttls.number(), tls.number(), &tokens));
        let mut privileges = Vec::new();
        if rustix::process::getuid().is_root() {
            // Postfix, which is another user, reaches the socket for passwords and delivers into the Maildirs.
            run(Command::new("chown").arg("-R").arg(format!("{}:{}", user.name, user.group)).arg(path));
            run(Command::new("chmod").arg("0755").arg(path));
            privileges =
                vec![format!("--reuid={}", user.name), format!("--regid={}", user.group), "--clear-groups".to_owned()];
        }
        let process = Process::spawn(Recipe {
            name: "dovecot".to_owned(),
            program: "/usr/sbin/dovecot".into(),
            arguments: vec!["-F".to_owned(), "-c".to_owned(), path.join("dovecot.conf").display().to_string()],
            environment: Vec::new(),
            privileges,
            log: log_folder.join("dovecot.log"),
            ready: "starting up".to_owned(),
        });
        process.ready().await;
        let server = Self { process, starttls, tls, users, data };
        // A session of our own shows that the processes behind the port are there.
        server.session(OURS.0, &["NOOP"]).await;
        server
    }

    /// Plain connections, on which STARTTLS is offered.
    pub const fn starttls_port(&self) -> u16 {
        self.starttls.number()
    }

    /// TLS from the first byte.
    pub const fn tls_port(&self) -> u16 {
        self.tls.number()
    }

    /// Where other servers have passwords checked.
    pub fn password_socket(&self) -> PathBuf {
        self.data.path().join("run/passwords")
    }

    /// The folder with one Maildir per user.
    pub fn mail_folder(&self) -> PathBuf {
        self.data.path().join("mail")
    }

    /// Puts a mail into a user's INBOX as a delivery agent does: written apart, then moved into the Maildir.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn deliver(&self, user: &str, raw: &[u8]) {
        self.deliver_at(user, raw, None).await;
    }

    /// The same, as if it had arrived then.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn deliver_at(&self, user: &str, raw: &[u8], arrived: Option<SystemTime>) {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = self.mail_folder().join(user);
        // The first session makes the Maildir.
        if !folder.join("new").is_dir() {
            self.session(user, &[]).await;
        }
        let name = format!("{number}.{}.harness", std::process::id());
        let aside = folder.join("tmp").join(&name);
        std::fs::write(&aside, raw).expect("write a mail");
        if let Some(arrived) = arrived {
            set_time(&aside, arrived);
        }
        if rustix::process::getuid().is_root() {
            let user = self::user();
            run(Command::new("chown").arg(format!("{}:{}", user.name, user.group)).arg(&aside));
        }
        std::fs::rename(&aside, folder.join("new").join(&name)).expect("deliver a mail");
    }

    /// Goes away; mail can still be delivered into the Maildirs.
    pub async fn stop(&self) {
        self.process.stop(Duration::from_secs(20)).await;
    }

    /// Comes back.
    pub async fn start_again(&self) {
        self.process.start();
        self.process.ready().await;
        self.session(OURS.0, &["NOOP"]).await;
    }

    /// Forgets how a user's mails were numbered, as a server does whose index is lost: the next session finds a new UIDVALIDITY.
    ///
    /// # Panics
    /// When a file cannot be removed.
    pub fn forget_numbers(&self, user: &str) {
        for entry in std::fs::read_dir(self.mail_folder().join(user)).expect("read the Maildir") {
            let path = entry.expect("an entry of the Maildir").path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dovecot")) {
                std::fs::remove_file(&path).expect("forget the numbers");
            }
        }
    }

    /// All of a user's mail seems to have arrived now, as in a Maildir that was copied.
    ///
    /// # Panics
    /// When a time cannot be set.
    pub fn lose_times(&self, user: &str) {
        let now = postrider_shared::clock::Clock::system().now();
        for part in ["cur", "new"] {
            for entry in std::fs::read_dir(self.mail_folder().join(user).join(part)).expect("read the Maildir") {
                set_time(&entry.expect("a mail").path(), now.into());
            }
        }
    }

    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(|(name, _)| name.as_str())
    }

    /// What it logged since its start.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Logs a user in, opens the INBOX and gives these commands; returns all untagged lines of their answers. Dovecot at times ends a
    /// session and asks its client to log in anew, as when a folder is numbered anew under it; then all of it is done again, so the
    /// commands are those that may be given twice.
    ///
    /// # Panics
    /// When they are refused until the [`DEADLINE`], or an answer does not come.
    pub async fn session(&self, user: &str, commands: &[&str]) -> Vec<String> {
        let last = std::sync::Mutex::new(String::new());
        let done = poll_until(DEADLINE, async || {
            let session = tokio::time::timeout(DEADLINE, self.session_once(user, commands)).await;
            match session.unwrap_or_else(|_| Err("Dovecot says nothing".to_owned())) {
                Ok(lines) => Some(lines),
                Err(refused) => {
                    *last.lock().expect("the last refusal") = refused;
                    None
                }
            }
        });
        let Some(lines) = done.await else {
            panic!("{}: {}", last.lock().expect("the last refusal"), self.process.log_tail(20));
        };
        lines
    }

    async fn session_once(&self, user: &str, commands: &[&str]) -> Result<Vec<String>, String> {
        let password = &self.users.iter().find(|(name, _)| name == user).expect("a user of this server").1;
        let stream = TcpStream::connect(("127.0.0.1", self.starttls_port())).await;
        let mut stream = BufReader::new(stream.map_err(|error| error.to_string())?);
        let login = format!("LOGIN \"{user}\" \"{password}\"");
        let mut lines = Vec::new();
        for (number, command) in [login.as_str(), "SELECT INBOX"].iter().chain(commands).enumerate() {
            let tag = format!("t{number} ");
            stream.write_all(format!("{tag}{command}\r\n").as_bytes()).await.map_err(|error| error.to_string())?;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.map_err(|error| error.to_string())?;
                if line.is_empty() {
                    return Err(format!("{command}: Dovecot closed the connection"));
                }
                if let Some(status) = line.strip_prefix(&tag) {
                    if !status.starts_with("OK") {
                        return Err(format!("{command}: {status}"));
                    }
                    break;
                }
                if number > 1 {
                    lines.push(line.trim_end().to_owned());
                }
            }
        }
        Ok(lines)
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.process.end_gently();
    }
}

fn set_time(file: &Path, time: SystemTime) {
    let file = std::fs::File::options().write(true).open(file).expect("open a mail");
    file.set_modified(time).expect("set a mail's time");
}

struct User {
    name: String,
    group: String,
}

/// Who runs it: `nobody`, or whoever runs the test.
fn user() -> User {
    if rustix::process::getuid().is_root() {
        return User { name: "nobody".to_owned(), group: "nogroup".to_owned() };
    }
    let ask = |option: &str| {
        let output = Command::new("id").arg(option).output().expect("run id");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    User { name: ask("-un"), group: ask("-gn") }
}

/// What the configuration says of tokens.
#[derive(Default)]
struct Tokens {
    mechanisms: &'static str,
    passdb: String,
    endpoint: String,
}

/// Dovecot asks the endpoint about each token, as the mail's owner would with it, and compares the address with the login.
fn tokens(folder: &Path, userinfo_url: &str) -> Tokens {
    let file = folder.join("tokens.conf");
    Tokens {
        mechanisms: " xoauth2",
        passdb: format!("passdb {{\n  driver = oauth2\n  mechanisms = xoauth2\n  args = {}\n}}\n", file.display()),
        endpoint: format!(
            "introspection_mode = auth\nintrospection_url = {userinfo_url}\nusername_attribute = email\nusername_format = %u\n\
             max_parallel_connections = 10\n"
        ),
    }
}

fn configuration(folder: &Path, user: &User, starttls: u16, tls: u16, tokens: &Tokens) -> String {
    let folder = folder.display();
    let User { name, group } = user;
    let Tokens { mechanisms, passdb, .. } = tokens;
    format!(
        "base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
protocols = imap
listen = 127.0.0.1
default_internal_user = {name}
default_internal_group = {group}
default_login_user = {name}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{folder}/mail/%u
mail_max_userip_connections = 100
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.key
# Loopback only; whether a password crosses it in the clear is the client's decision, which is what is tested.
disable_plaintext_auth = no
auth_mechanisms = plain login{mechanisms}
auth_failure_delay = 0
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {starttls}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service auth {{
  user = {name}
  unix_listener passwords {{
    mode = 0666
  }}
}}
service auth-worker {{
  user = {name}
}}
{passdb}passdb {{
  driver = passwd-file
  mechanisms = plain login
  args = username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={name} gid={group} home={folder}/home/%u
}}
"
    )
}
