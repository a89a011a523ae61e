//! What an IMAP server says, from its greeting on, whatever it is asked.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use postrider_worker::providers::credential::Credential;
use postrider_worker::providers::imap::{ImapError, Login, Session, Since};
use postrider_worker::providers::transport::{Dialer, Endpoint, Security};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Builder;

/// Bytes of one mail.
const MAIL: u64 = 64 * 1024;

/// The first byte says how to log in and what to do then; the rest is the server's part. Time does not pass: nothing waits.
pub(crate) fn conversation(bytes: &[u8]) {
    let Some((how, said)) = bytes.split_first() else { return };
    let Ok(runtime) = Builder::new_current_thread().enable_time().start_paused(true).build() else { return };
    let token = "token".to_owned().into();
    let credential = if how & 1 == 0 { Credential::from("password") } else { Credential::Bearer(token) };
    let endpoint = Endpoint { host: "imap.example".to_owned(), port: 143, security: Security::Plain };
    let login = Login { endpoint, username: "a@b.example".to_owned(), credential, dialer: Dialer::default() };
    let _ = black_box(runtime.block_on(talk(&login, said.to_vec(), how & 2 == 0)));
}

async fn talk(login: &Login, said: Vec<u8>, polls: bool) -> Result<(), ImapError> {
    let mut session = Session::over(Box::new(Recording { said, at: 0 }), login).await?;
    if polls {
        black_box(session.select_numbered("INBOX").await?);
        let listed = black_box(session.list(Since::Uid(1), 100).await?);
        let uids: Vec<u32> = listed.iter().map(|one| one.uid).collect();
        black_box(session.message_ids(&uids).await?);
        if let Some(uid) = uids.first() {
            black_box(session.fetch_header(*uid).await?);
            black_box(session.fetch(*uid, MAIL).await?);
        }
    } else {
        black_box(session.examine("INBOX").await?);
        black_box(session.can_idle().await?);
        let (idling, _) = session.idle().await?;
        session.announced().await?;
        black_box(session.done(idling).await?);
    }
    Ok(())
}

/// A server that says its part and hangs up.
#[derive(Debug)]
struct Recording {
    said: Vec<u8>,
    at: usize,
}

impl AsyncRead for Recording {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let end = (self.at + buf.remaining()).min(self.said.len());
        buf.put_slice(&self.said[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recording {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
