//! A network between servers that can be cut: nothing passes, nothing is lost, and nobody is told.

use postrider_tests::ports::Port;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub struct Network {
    port: Port,
    cut: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Network {
    /// Leads to this port from `port`.
    pub async fn to(port: Port, target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port.number())).await.expect("listen");
        let (cut, is_cut) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let is_cut = is_cut.clone();
                connections.spawn(async move {
                    let _ = is_cut.clone().wait_for(|cut| !cut).await;
                    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    let _ = (near.set_nodelay(true), far.set_nodelay(true));
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::select! {
                        () = pass(near_in, far_out, is_cut.clone()) => {}
                        () = pass(far_in, near_out, is_cut) => {}
                    }
                });
            }
        });
        Self { port, cut, _tasks: tasks }
    }

    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    pub fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_cut: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(many @ 1..) = from.read(&mut bytes).await else { return };
        if is_cut.wait_for(|cut| !cut).await.is_err() || to.write_all(&bytes[..many]).await.is_err() {
            return;
        }
    }
}
