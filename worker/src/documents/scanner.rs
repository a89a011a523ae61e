//! The malware scanner: clamd, asked over its socket before anything of a stranger's file is kept or read.
//!
//! A scanner that is away makes the job come back later. Nothing is ever skipped because of it.

use std::time::Duration;

use postrider_shared::config::ScannerAddress;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// From the first byte to the verdict.
const PATIENCE: Duration = Duration::from_secs(60);
const CHUNK: usize = 64 * 1024;
/// A verdict is one short line.
const ANSWER_BYTES: u64 = 4_096;

/// What the scanner says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Clean,
    /// It objects; the text is for a person, and holds nothing that the sender wrote.
    Objects(String),
}

/// It gave no verdict, which a later attempt may get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the malware scanner fails: {0}")]
pub struct NoVerdict(String);

/// The scanner of this installation, if it has one.
#[derive(Debug, Clone, Default)]
pub struct Scanner(Option<ScannerAddress>);

impl Scanner {
    pub fn new(address: Option<ScannerAddress>) -> Self {
        Self(address)
    }

    /// The scanner's verdict; [`Verdict::Clean`] where there is none.
    pub async fn scan(&self, content: &[u8]) -> Result<Verdict, NoVerdict> {
        let Some(address) = &self.0 else { return Ok(Verdict::Clean) };
        let failed = |error: &dyn std::fmt::Display| NoVerdict(error.to_string());
        let answer = tokio::time::timeout(PATIENCE, ask(address, content)).await;
        let answer = answer.map_err(|_| failed(&"it does not answer"))?.map_err(|error| failed(&error))?;
        verdict(&answer).ok_or_else(|| failed(&"it answers something else"))
    }
}

async fn ask(address: &ScannerAddress, content: &[u8]) -> std::io::Result<String> {
    match address {
        ScannerAddress::Tcp(address) => stream(TcpStream::connect(address.as_str()).await?, content).await,
        ScannerAddress::Socket(path) => stream(UnixStream::connect(path).await?, content).await,
    }
}

/// `INSTREAM`: chunks with their lengths before them, and one of no length at the end.
async fn stream(mut socket: impl AsyncRead + AsyncWrite + Unpin, content: &[u8]) -> std::io::Result<String> {
    let sent = send(&mut socket, content).await;
    // A scanner that has heard enough says why and hangs up.
    let mut answer = Vec::new();
    let read = (&mut socket).take(ANSWER_BYTES).read_to_end(&mut answer).await;
    if answer.is_empty() {
        sent?;
        read?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn send(socket: &mut (impl AsyncWrite + Unpin), content: &[u8]) -> std::io::Result<()> {
    socket.write_all(b"zINSTREAM\0").await?;
    for chunk in content.chunks(CHUNK) {
        let length = u32::try_from(chunk.len()).map_err(std::io::Error::other)?;
        socket.write_all(&length.to_be_bytes()).await?;
        socket.write_all(chunk).await?;
    }
    socket.write_all(&0_u32.to_be_bytes()).await?;
    socket.flush().await
}

fn verdict(answer: &str) -> Option<Verdict> {
    let answer = answer.trim_matches(['\0', '\n', '\r', ' ']);
    let said = answer.strip_prefix("stream: ").unwrap_or(answer);
    if said == "OK" {
        Some(Verdict::Clean)
    } else if let Some(found) = said.strip_suffix(" FOUND") {
        let name: String = found.chars().filter(char::is_ascii_graphic).take(100).collect();
        Some(Verdict::Objects(format!("the malware scanner found {name}")))
    } else if said.starts_with("INSTREAM size limit exceeded") {
        // It will say so every time.
        Some(Verdict::Objects("the malware scanner takes no file of this size".to_owned()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use postrider_shared::config::ScannerAddress;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::{Scanner, Verdict, verdict};

    /// A clamd that finds whatever holds `EICAR`, once; what it was sent.
    async fn fake(listener: TcpListener) -> Vec<u8> {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut command = [0; 10];
        socket.read_exact(&mut command).await.unwrap();
        assert_eq!(&command, b"zINSTREAM\0");
        let mut content = Vec::new();
        loop {
            let length = socket.read_u32().await.unwrap() as usize;
            if length == 0 {
                break;
            }
            let mut chunk = vec![0; length];
            socket.read_exact(&mut chunk).await.unwrap();
            content.extend(chunk);
        }
        let found = content.windows(5).any(|word| word == b"EICAR");
        let answer: &[u8] = if found { b"stream: Eicar-Signature FOUND\0" } else { b"stream: OK\0" };
        socket.write_all(answer).await.unwrap();
        content
    }

    async fn scanned(content: &[u8]) -> (Verdict, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scanner = Scanner::new(Some(ScannerAddress::Tcp(listener.local_addr().unwrap().to_string())));
        let (verdict, seen) = tokio::join!(scanner.scan(content), fake(listener));
        (verdict.unwrap(), seen)
    }

    #[tokio::test]
    async fn the_scanner_sees_the_whole_file_and_is_believed() {
        let clean = vec![7; 200_000];
        assert_eq!(scanned(&clean).await, (Verdict::Clean, clean));
        let (verdict, _) = scanned(b"EICAR").await;
        assert_eq!(verdict, Verdict::Objects("the malware scanner found Eicar-Signature".to_owned()));
        assert_eq!(Scanner::default().scan(b"EICAR").await.unwrap(), Verdict::Clean);
    }

    #[tokio::test]
    async fn a_scanner_that_is_away_skips_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scanner = Scanner::new(Some(ScannerAddress::Tcp(listener.local_addr().unwrap().to_string())));
        drop(listener);
        assert!(scanner.scan(b"x").await.is_err());
    }

    #[tokio::test]
    async fn a_scanner_that_says_nothing_or_nonsense_gives_no_verdict() {
        for answer in [None, Some(""), Some("stream: O"), Some("<html>"), Some("stream: OK FOUND OK")] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let scanner = Scanner::new(Some(ScannerAddress::Tcp(listener.local_addr().unwrap().to_string())));
            let silent = async {
                let (mut socket, _) = listener.accept().await.unwrap();
                if let Some(answer) = answer {
                    socket.write_all(answer.as_bytes()).await.unwrap();
                } else {
                    // Its minute passes at once.
                    tokio::time::pause();
                    tokio::time::sleep(super::PATIENCE * 2).await;
                }
            };
            let (verdict, ()) = tokio::join!(scanner.scan(b"x"), silent);
            assert!(verdict.is_err(), "{answer:?}: {verdict:?}");
        }
    }

    #[test]
    fn only_a_clear_answer_is_one() {
        assert!(matches!(verdict("INSTREAM size limit exceeded. ERROR\0"), Some(Verdict::Objects(_))));
        assert_eq!(verdict("stream: Access denied. ERROR\0"), None);
        assert_eq!(verdict(""), None);
    }
}
