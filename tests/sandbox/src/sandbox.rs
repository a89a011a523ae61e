//! Starting and stopping the servers.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::Client;
use crate::office::Office;
use crate::{control, gmail, google, imap, llm, oidc, smtp, tls};

/// Where to listen and what to keep. Port 0 takes a free one.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// IMAP; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub imap_bind: SocketAddr,
    /// SMTP.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub smtp_bind: SocketAddr,
    /// The OpenAI-compatible endpoint (/v1), Google, issuers of ID tokens, and the control API (/control).
    #[arg(long, default_value = "127.0.0.1:0")]
    pub http_bind: SocketAddr,
    /// IMAP that is encrypted from the first byte; needs a certificate.
    #[arg(long, requires = "tls_cert")]
    pub imaps_bind: Option<SocketAddr>,
    /// SMTP that is encrypted from the first byte; needs a certificate.
    #[arg(long, requires = "tls_cert")]
    pub smtps_bind: Option<SocketAddr>,
    /// PEM certificate chain; with it STARTTLS is offered, too.
    #[arg(long, requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM key of the certificate.
    #[arg(long, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Folder that keeps mailboxes and the ledger over a restart; without it they live in memory.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Seconds after which a silent client is sent away; also how long a hanging server hangs.
    #[arg(long, default_value_t = 1800)]
    pub idle_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            imap_bind: free,
            smtp_bind: free,
            http_bind: free,
            imaps_bind: None,
            smtps_bind: None,
            tls_cert: None,
            tls_key: None,
            data: None,
            idle_seconds: 1800,
        }
    }
}

/// The addresses that are really listened on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    pub imap: SocketAddr,
    pub smtp: SocketAddr,
    pub http: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imaps: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtps: Option<SocketAddr>,
    /// What goes into `OPENAI_BASE_URL`.
    pub openai_base_url: String,
    /// What goes into `GMAIL_API_BASE_URL`.
    pub gmail_base_url: String,
    pub control_url: String,
}

/// Running servers; dropping it stops them.
#[derive(Debug)]
pub struct Sandbox {
    pub addresses: Addresses,
    pub office: Arc<Office>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Sandbox {
    /// Starts with default options: free ports on loopback, everything in memory.
    pub async fn spawn() -> io::Result<Self> {
        Self::start(Options::default()).await
    }

    /// Binds all ports, then serves them in the background of the current runtime.
    pub async fn start(options: Options) -> io::Result<Self> {
        let acceptor = match (&options.tls_cert, &options.tls_key) {
            (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)?),
            _ => None,
        };
        let office = Arc::new(Office::open(options.data.as_deref())?);
        let imap = TcpListener::bind(options.imap_bind).await?;
        let smtp = TcpListener::bind(options.smtp_bind).await?;
        let http = TcpListener::bind(options.http_bind).await?;
        let imaps = bind(options.imaps_bind).await?;
        let smtps = bind(options.smtps_bind).await?;
        let address = |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::local_addr).transpose();
        let http_address = http.local_addr()?;
        let addresses = Addresses {
            imap: imap.local_addr()?,
            smtp: smtp.local_addr()?,
            http: http_address,
            imaps: address(&imaps)?,
            smtps: address(&smtps)?,
            gmail_base_url: format!("http://{http_address}"),
            openai_base_url: format!("http://{http_address}/v1"),
            control_url: format!("http://{http_address}/control"),
        };
        let sandbox = Self { addresses, office, stop: CancellationToken::new(), tasks: TaskTracker::new() };
        let patience = Duration::from_secs(options.idle_seconds);
        for (listener, encrypted) in [(Some(imap), false), (imaps, true)] {
            sandbox.accept(listener, acceptor.clone(), move |office, stream, tls| {
                imap::serve(office, stream, tls, encrypted, patience)
            });
        }
        for (listener, encrypted) in [(Some(smtp), false), (smtps, true)] {
            sandbox.accept(listener, acceptor.clone(), move |office, stream, tls| {
                smtp::serve(office, stream, tls, encrypted, patience)
            });
        }
        sandbox.serve_http(http);
        Ok(sandbox)
    }

    /// A client of this sandbox's control API.
    pub fn client(&self) -> Client {
        Client::new(&self.addresses.control_url)
    }

    /// Stops serving, closes all connections and waits for them.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn accept<F, S>(&self, listener: Option<TcpListener>, tls: Option<TlsAcceptor>, serve: F)
    where
        F: Fn(Arc<Office>, TcpStream, Option<TlsAcceptor>) -> S + Send + 'static,
        S: Future<Output = io::Result<()>> + Send + 'static,
    {
        let Some(listener) = listener else { return };
        let (stop, tasks, office) = (self.stop.clone(), self.tasks.clone(), Arc::clone(&self.office));
        let connections = self.tasks.clone();
        tasks.spawn(async move {
            while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
                let Ok((stream, _)) = accepted else {
                    // Out of file descriptors, most likely; connections that end will give some back.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let session = serve(Arc::clone(&office), stream, tls.clone());
                let stop = stop.clone();
                connections.spawn(async move {
                    if let Some(Err(error)) = stop.run_until_cancelled(session).await {
                        tracing::debug!(%error, "a connection ended");
                    }
                });
            }
        });
    }

    fn serve_http(&self, listener: TcpListener) {
        let office = || Arc::clone(&self.office);
        let app = control::router(office()).merge(llm::router(office()));
        let app = app.merge(google::router(office())).merge(gmail::router(office()));
        let app = app.merge(oidc::router(office()));
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let serving = async move { axum::serve(listener, app).await };
            if let Some(Err(error)) = stop.run_until_cancelled(serving).await {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn bind(address: Option<SocketAddr>) -> io::Result<Option<TcpListener>> {
    match address {
        Some(address) => TcpListener::bind(address).await.map(Some),
        None => Ok(None),
    }
}
