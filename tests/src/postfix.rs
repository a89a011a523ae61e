//! A private Postfix, with submission by password as mail providers offer it. What it accepts for the users of a Dovecot it puts
//! into their mailboxes; all other mail, for whatever domain, goes into one Maildir that stands for the outside world: a
//! witness of what was really accepted. Nothing ever leaves the machine.
//!
//! Its master must be root, because each of its parts runs as another user: tests with it need root.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::certificate::{Certificate, run};
use crate::dovecot::Dovecot;
use crate::ports::Port;
use crate::process::{Process, Recipe};
use crate::wait::eventually;

const OUTSIDE: &str = "outside-world";

/// A mail that reached somebody outside.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The envelope's recipient.
    pub to: String,
    pub raw: Vec<u8>,
}

/// Ends when dropped.
#[derive(Debug)]
pub struct Postfix {
    // In the order in which they must go.
    process: Process,
    anybody: Port,
    starttls: Port,
    tls: Port,
    outside: PathBuf,
    _data: TempDir,
}

impl Postfix {
    /// Passwords are those of this Dovecot, and mail for its users goes into their Maildirs.
    ///
    /// # Panics
    /// When the test does not run as root.
    pub async fn start(log_folder: &Path, dovecot: &Dovecot, certificate: &Certificate) -> Self {
        assert!(
            rustix::process::getuid().is_root(),
            "Postfix's master process runs as root only: run this test as root"
        );
        let data = tempfile::Builder::new().prefix("postrider-postfix-").tempdir().expect("make Postfix's folder");
        let (anybody, starttls, tls) = (Port::reserve(), Port::reserve(), Port::reserve());
        let path = data.path();
        run(Command::new("chmod").arg("0755").arg(path));
        for folder in ["etc", "queue", "data"] {
            std::fs::create_dir(path.join(folder)).expect("make Postfix's folders");
        }
        run(Command::new("chown").arg("postfix").arg(path.join("data")));
        std::fs::copy(&certificate.file, path.join("etc/server.pem")).expect("copy the certificate");
        std::fs::copy(&certificate.key, path.join("etc/server.key")).expect("copy the certificate's key");
        let mut mailboxes = String::new();
        for user in dovecot.users() {
            writeln!(mailboxes, "{user} {user}/").expect("a String takes everything");
        }
        let write = |name: &str, text: &str| {
            std::fs::write(path.join("etc").join(name), text).expect("write Postfix's settings");
        };
        write("mailboxes", &mailboxes);
        write("main.cf", &main_settings(path, dovecot));
        write("master.cf", &services([anybody.number(), starttls.number(), tls.number()]));
        let settings = path.join("etc").display().to_string();
        // Makes the folders of the queue, each with its owner.
        run(Command::new("/usr/sbin/postfix").args(["-c", &settings, "check"]));
        let process = Process::spawn(Recipe {
            name: "postfix".to_owned(),
            program: daemons().join("master"),
            arguments: vec!["-c".to_owned(), settings, "-s".to_owned()],
            environment: Vec::new(),
            privileges: Vec::new(),
            log: log_folder.join("postfix.log"),
            ready: "daemon started".to_owned(),
        });
        process.ready().await;
        let outside = dovecot.mail_folder().join(OUTSIDE);
        Self { process, anybody, starttls, tls, outside, _data: data }
    }

    /// Mail from anybody, without TLS and without a password, as between servers.
    pub const fn plain_port(&self) -> u16 {
        self.anybody.number()
    }

    /// Submission: STARTTLS, then a password.
    pub const fn starttls_port(&self) -> u16 {
        self.starttls.number()
    }

    /// Submission with TLS from the first byte.
    pub const fn tls_port(&self) -> u16 {
        self.tls.number()
    }

    /// What it logged since its start.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Hands a mail to the server, as the sender's own server would.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn deliver(&self, from: &str, to: &[&str], raw: &[u8]) {
        let stream = TcpStream::connect(("127.0.0.1", self.plain_port())).await.expect("connect to Postfix");
        let mut stream = BufReader::new(stream);
        answered(&mut stream, "220").await;
        let mut commands = vec![("EHLO sender.example".to_owned(), "250"), (format!("MAIL FROM:<{from}>"), "250")];
        commands.extend(to.iter().map(|to| (format!("RCPT TO:<{to}>"), "250")));
        commands.push(("DATA".to_owned(), "354"));
        for (command, code) in commands {
            stream.write_all(format!("{command}\r\n").as_bytes()).await.expect("talk to Postfix");
            answered(&mut stream, code).await;
        }
        let mut content = Vec::with_capacity(raw.len() + 64);
        for line in raw.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.first() == Some(&b'.') {
                content.push(b'.');
            }
            content.extend_from_slice(line);
            content.extend_from_slice(b"\r\n");
        }
        content.extend_from_slice(b".\r\n");
        stream.write_all(&content).await.expect("talk to Postfix");
        answered(&mut stream, "250").await;
    }

    /// Waits until nothing is on its way inside the server: what it accepted has arrived.
    pub async fn settled(&self) {
        eventually("Postfix's queue to be empty", || async {
            let log = self.log();
            let taken = log.lines().filter(|line| line.contains(" client=")).filter_map(queue_id);
            let gone: HashSet<&str> =
                log.lines().filter(|line| line.ends_with(": removed")).filter_map(queue_id).collect();
            taken.into_iter().all(|id| gone.contains(id)).then_some(())
        })
        .await;
    }

    /// Everything that reached the outside world so far, once the server has settled.
    pub async fn outside(&self) -> Vec<Delivered> {
        self.settled().await;
        let files = std::fs::read_dir(self.outside.join("new")).into_iter().flatten().flatten();
        let mut delivered = Vec::new();
        for file in files {
            let raw = std::fs::read(file.path()).expect("read a delivered mail");
            let head = String::from_utf8_lossy(&raw);
            let to = head.lines().find_map(|line| line.strip_prefix("Delivered-To: ")).unwrap_or_default().to_owned();
            drop(head);
            delivered.push(Delivered { to, raw });
        }
        delivered
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.process.end_gently();
    }
}

/// `2414198C187` of `… postfix/qmgr[13324]: 2414198C187: removed`.
fn queue_id(line: &str) -> Option<&str> {
    line.split("]: ").nth(1)?.split(':').next()
}

async fn answered(stream: &mut BufReader<TcpStream>, code: &str) {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("read from Postfix");
        assert!(line.starts_with(code), "Postfix answered {line:?} instead of {code}");
        if line.as_bytes().get(3) != Some(&b'-') {
            return;
        }
    }
}

/// Where the parts of Postfix are, as it was built.
fn daemons() -> PathBuf {
    let output = Command::new("/usr/sbin/postconf").args(["-dh", "daemon_directory"]).output().expect("run postconf");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

fn main_settings(folder: &Path, dovecot: &Dovecot) -> String {
    let (folder, mail) = (folder.display(), dovecot.mail_folder());
    let (mail, passwords) = (mail.display(), dovecot.password_socket());
    let passwords = passwords.display();
    // Delivered as nobody, who owns the Maildirs.
    format!(
        "compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = /dev/stdout
myhostname = localhost
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
virtual_mailbox_domains = static:all
virtual_mailbox_base = {mail}
virtual_mailbox_maps = texthash:{folder}/etc/mailboxes, static:{OUTSIDE}/
virtual_minimum_uid = 1
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 52428800
local_header_rewrite_clients =
smtpd_peername_lookup = no
smtpd_sasl_type = dovecot
smtpd_sasl_path = {passwords}
smtpd_tls_cert_file = {folder}/etc/server.pem
smtpd_tls_key_file = {folder}/etc/server.key
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
notify_classes =
"
    )
}

fn services([anybody, starttls, tls]: [u16; 3]) -> String {
    format!(
        "127.0.0.1:{anybody} inet n - n - - smtpd
  -o smtpd_relay_restrictions=permit_mynetworks,reject
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
127.0.0.1:{starttls} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_auth_only=yes
  -o smtpd_sasl_auth_enable=yes
127.0.0.1:{tls} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
showq unix n - n - - showq
"
    )
}
