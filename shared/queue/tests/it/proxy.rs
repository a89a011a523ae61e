//! A bad network between a client and its Redis.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::server::Server;

#[derive(Default)]
struct Faults {
    /// Answers still to be lost: carried out, and the connection cut instead of the answer.
    lose: AtomicUsize,
    lost: AtomicUsize,
    /// Nothing passes, nothing is lost: what a stopped process looks like.
    held: AtomicBool,
    /// The same for answers alone.
    answers_held: AtomicBool,
    /// The same on connections on which scripts are called.
    calls_held: AtomicBool,
    /// Of connections made before so many nothing passes any more, and they do not end.
    swallowed: AtomicUsize,
    /// In answers, the one text becomes the other, of the same length.
    rewrite: Option<(&'static [u8], &'static [u8])>,
    /// Where new connections lead.
    port: AtomicU16,
    /// All that went to the server, a piece per connection.
    tape: Mutex<Vec<Vec<u8>>>,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    faults: Arc<Faults>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn before(server: &Server) -> Self {
        Self::start(server, Faults::default()).await
    }

    /// A server that says something else of itself.
    pub(crate) async fn rewriting(server: &Server, from: &'static [u8], to: &'static [u8]) -> Self {
        assert_eq!(from.len(), to.len());
        Self::start(server, Faults { rewrite: Some((from, to)), ..Faults::default() }).await
    }

    async fn start(server: &Server, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let faults = Arc::new(faults);
        faults.port.store(server.port, Ordering::SeqCst);
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&faults);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((inner, _)) = listener.accept().await {
                let port = shared.port.load(Ordering::SeqCst);
                if let Ok(outer) = TcpStream::connect(("127.0.0.1", port)).await {
                    connections.spawn(pass(inner, outer, Arc::clone(&shared)));
                }
            }
        });
        Self { url, faults, _tasks: tasks }
    }

    pub(crate) fn lose_answers(&self, many: usize) {
        self.faults.lose.store(many, Ordering::SeqCst);
    }

    pub(crate) fn lost(&self) -> usize {
        self.faults.lost.load(Ordering::SeqCst)
    }

    pub(crate) fn hold(&self, held: bool) {
        self.faults.held.store(held, Ordering::SeqCst);
    }

    /// What is called arrives and is carried out, but no answer comes back meanwhile.
    pub(crate) fn hold_answers(&self, held: bool) {
        self.faults.answers_held.store(held, Ordering::SeqCst);
    }

    /// The same for answers of scripts: messages do come.
    pub(crate) fn hold_answers_of_calls(&self, held: bool) {
        self.faults.calls_held.store(held, Ordering::SeqCst);
    }
}

impl Proxy {
    /// From now on nothing passes on the connections there are, and they do not end; new ones are fair.
    pub(crate) fn swallow(&self) {
        self.faults.swallowed.store(self.faults.tape.lock().unwrap().len(), Ordering::SeqCst);
    }

    /// New connections lead to this server, and those that there are stay as they are: what a name does that moves.
    pub(crate) fn lead_to(&self, server: &Server) {
        self.faults.port.store(server.port, Ordering::SeqCst);
    }

    /// Sends again what scripts were called with so far, on connections of its own, as a network does that was slow.
    pub(crate) async fn play_again(&self, server: &Server, tape: Vec<Vec<u8>>) {
        for bytes in tape {
            let mut connection = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
            connection.write_all(&bytes).await.unwrap();
            connection.write_all(b"*2\r\n$4\r\nECHO\r\n$8\r\nthat-all\r\n").await.unwrap();
            let mut answers = Vec::new();
            while !answers.ends_with(b"that-all\r\n") {
                assert!(connection.read_buf(&mut answers).await.unwrap() > 0);
            }
        }
    }

    /// What went to the server so far on the connections that call scripts.
    pub(crate) fn tape(&self) -> Vec<Vec<u8>> {
        let calls = |bytes: &&Vec<u8>| bytes.windows(7).any(|word| word == b"EVALSHA");
        self.faults.tape.lock().unwrap().iter().filter(calls).cloned().collect()
    }
}

async fn pass(mut inner: TcpStream, mut outer: TcpStream, faults: Arc<Faults>) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let track = {
        let mut tape = faults.tape.lock().unwrap();
        tape.push(Vec::new());
        tape.len() - 1
    };
    let mut calls = false;
    loop {
        let deaf = faults.answers_held.load(Ordering::SeqCst) || (calls && faults.calls_held.load(Ordering::SeqCst));
        let (to_server, many) = tokio::select! {
            read = inner.read(&mut asked) => (true, read),
            read = outer.read(&mut answered), if !deaf => (false, read),
            () = tokio::time::sleep(std::time::Duration::from_millis(5)), if deaf => continue,
        };
        let Ok(many @ 1..) = many else { return };
        if track < faults.swallowed.load(Ordering::SeqCst) {
            continue;
        }
        while faults.held.load(Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        if to_server {
            calls = calls || asked[..many].windows(7).any(|word| word == b"EVALSHA");
            faults.tape.lock().unwrap()[track].extend_from_slice(&asked[..many]);
            if outer.write_all(&asked[..many]).await.is_err() {
                return;
            }
            continue;
        }
        if let Some((from, to)) = faults.rewrite {
            while let Some(at) = answered[..many].windows(from.len()).position(|window| window == from) {
                answered[at..at + to.len()].copy_from_slice(to);
            }
        }
        let lose = faults.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if lose.is_ok() {
            faults.lost.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if inner.write_all(&answered[..many]).await.is_err() {
            return;
        }
    }
}
