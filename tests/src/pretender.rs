//! What may stand at `REDIS_URL` instead of a Redis that is fit for work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::network::frame;

/// How it answers.
#[derive(Debug, Clone)]
pub enum Manner {
    /// Accepts connections and says nothing.
    Silent,
    /// Hangs up as soon as somebody speaks, as a TLS server does that is spoken to without.
    HangsUp,
    /// A web server.
    Web,
    /// A Redis of this version.
    Version(&'static str),
    /// A Redis that loads its data until [`Pretender::loaded`], and the one at this address from then on.
    Loading(String),
}

/// A server on a port of 127.0.0.1 until it is dropped.
#[derive(Debug)]
pub struct Pretender {
    address: String,
    loaded: Arc<AtomicBool>,
    _serving: JoinSet<()>,
}

impl Pretender {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("an address").to_string();
        let loaded = Arc::new(AtomicBool::new(false));
        let mut serving = JoinSet::new();
        let ready = Arc::clone(&loaded);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, manner.clone(), Arc::clone(&ready)));
            }
        });
        Self { address, loaded, _serving: serving }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends the loading.
    pub fn loaded(&self) {
        self.loaded.store(true, Ordering::SeqCst);
    }
}

async fn serve(mut client: TcpStream, manner: Manner, loaded: Arc<AtomicBool>) {
    if let Manner::Loading(address) = &manner
        && loaded.load(Ordering::SeqCst)
    {
        let Ok(mut redis) = TcpStream::connect(address).await else { return };
        let _ = copy_bidirectional(&mut client, &mut redis).await;
        return;
    }
    let mut asked = BytesMut::new();
    while let Ok(1..) = client.read_buf(&mut asked).await {
        let mut answer = Vec::new();
        match &manner {
            Manner::Silent => asked.clear(),
            Manner::HangsUp => return,
            Manner::Web => {
                asked.clear();
                answer.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            }
            Manner::Version(version) => answers(&mut asked, &mut answer, |command| said_by(version, command)),
            Manner::Loading(_) if loaded.load(Ordering::SeqCst) => return,
            Manner::Loading(_) => {
                answers(&mut asked, &mut answer, |_| b"-LOADING Redis is loading the dataset in memory\r\n".to_vec());
            }
        }
        if client.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// One answer to each whole command.
fn answers(asked: &mut BytesMut, answer: &mut Vec<u8>, of: impl Fn(&[u8]) -> Vec<u8>) {
    while let Some(length) = frame::whole(asked) {
        answer.extend(of(&asked[..length]));
        asked.advance(length);
    }
}

fn said_by(version: &str, command: &[u8]) -> Vec<u8> {
    match frame::arguments(command, 1).first() {
        Some(name) if name.eq_ignore_ascii_case(b"INFO") => {
            let text = format!("# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n");
            format!("${}\r\n{text}\r\n", text.len()).into_bytes()
        }
        Some(name) if name.eq_ignore_ascii_case(b"AUTH") => b"+OK\r\n".to_vec(),
        _ => b"-ERR unknown command\r\n".to_vec(),
    }
}
