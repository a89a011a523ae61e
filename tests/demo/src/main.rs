//! The client that `deploy/up` runs against a started installation: sets up a business, lets the sample mails arrive
//! in the sandbox, tells what happens to them, and checks what came of it. It knows the product over HTTP only.

mod business;
mod console;
mod http;
mod live;
mod mails;
mod replies;
mod story;
mod words;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser};

use crate::{
    business::SandboxPorts,
    console::Console,
    http::{DemoError, Server},
    mails::Sample,
    story::{Ending, Story},
};

/// How long the mails may take altogether. They take seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// The sandbox mailbox from which people are mailed about signing in, as `deploy/up` tells the worker.
const SYSTEM_ADDRESS: &str = "postrider@sandbox.example";

/// Shows Postrider's main job.
#[derive(Debug, Parser)]
enum Cli {
    /// Names the real accounts that `deploy/up --live` is about to use.
    Accounts(live::Accounts),
    /// Sets up a business in a started installation and shows what it does.
    Show(Show),
}

#[derive(Debug, Args)]
struct Show {
    /// The API's address, such as <http://127.0.0.1:8080>.
    #[arg(long)]
    api: String,
    /// File with the platform key.
    #[arg(long)]
    key_file: PathBuf,
    /// Folder with tenant.json, products.json, mailbox.json and the sample mails.
    #[arg(long)]
    folder: PathBuf,
    /// Where replies and PDFs are saved.
    #[arg(long)]
    answers: PathBuf,
    /// The sandbox's control API. Without it the mailbox is a real one: nothing is delivered there, nothing is awaited.
    #[arg(long, requires_all = ["imap_port", "smtp_port"])]
    sandbox: Option<String>,
    #[arg(long)]
    imap_port: Option<u16>,
    #[arg(long)]
    smtp_port: Option<u16>,
    /// Delivers new copies of the sample mails, even if an earlier start delivered them.
    #[arg(long)]
    again: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let console = Console::new();
    let cli = Cli::parse();
    // Only plain HTTP on loopback is spoken; the provider is what reqwest asks for before it makes any client.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match &cli {
        Cli::Accounts(accounts) => accounts.name(console).map(|()| true),
        Cli::Show(show) => run(show, console).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            console.wrong(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Whether everything came out as it should.
async fn run(cli: &Show, console: Console) -> Result<bool, DemoError> {
    let key = std::fs::read_to_string(&cli.key_file)
        .map_err(|error| DemoError::File { path: cli.key_file.display().to_string(), error: error.to_string() })?;
    let key = key.trim().to_owned();
    let platform = Server::new(&cli.api, Some(key.clone()))?;

    console.title("The business");
    let (Some(sandbox), Some(imap), Some(smtp)) = (&cli.sandbox, cli.imap_port, cli.smtp_port) else {
        let business = business::settle(&platform, &cli.folder, None, console).await?;
        console.ok(&format!("Mail that is in {} already is left alone", business.address));
        where_to_look(cli, &key, console);
        return Ok(true);
    };
    let sandbox = Server::new(sandbox, None)?;
    let ports = SandboxPorts { imap, smtp, password: "sandbox".to_owned() };
    let address = http::text(&business::read_json(&cli.folder, "mailbox.json")?, "address").to_owned();
    mails::open_mailbox(&sandbox, &address, &ports.password).await?;
    // From which people who sign in are mailed.
    mails::open_mailbox(&sandbox, SYSTEM_ADDRESS, &ports.password).await?;
    let business = business::settle(&platform, &cli.folder, Some(&ports), console).await?;

    console.title(&format!("Mail arrives for {}", business.tenant_name));
    let samples = mails::load(&cli.folder, cli.again)?;
    let mut story = Story::new(&business, &sandbox, &samples, console);
    story.skip_what_was().await?;
    for sample in &samples {
        mails::deliver(&sandbox, &business.address, sample).await?;
        console.ok(&format!("mail {}: {}", sample.number, console.bold(&sample.subject)));
    }

    console.title("What happens to it");
    let endings = story.follow(PATIENCE).await?;

    if story.is_silent() {
        console.note("Nothing: an earlier start delivered these mails, and they were dealt with then.");
        console.note("deploy/up --again delivers fresh copies.");
    }

    console.title("What came of it");
    let mut good = true;
    for (sample, ending) in samples.iter().zip(&endings) {
        good &= conclude(&sandbox, sample, ending, cli, console).await?;
    }
    where_to_look(cli, &key, console);
    Ok(good)
}

/// Says how it ended for one mail, and whether that is right.
async fn conclude(
    sandbox: &Server,
    sample: &Sample,
    ending: &Ending,
    cli: &Show,
    console: Console,
) -> Result<bool, DemoError> {
    let mail = format!("mail {}, {}:", sample.number, sample.subject);
    match ending {
        Ending::Replied { accepted, quote } if sample.wants_reply => {
            let saved = replies::save(sandbox, accepted, quote, sample, &cli.answers).await?;
            console.ok(&format!("{mail} quote {} went back in the thread", saved.quote));
            console.note(&format!("PDF    {}", saved.pdf.display()));
            console.note(&format!("reply  {}", saved.reply.display()));
            Ok(true)
        }
        Ending::Ignored { reason } if !sample.wants_reply => {
            console.ok(&format!("{mail} no quote request, {reason}; nobody was answered"));
            Ok(true)
        }
        Ending::Replied { .. } => {
            console.wrong(&format!("{mail} was answered, and must not have been"));
            Ok(false)
        }
        Ending::Ignored { reason } | Ending::Stuck { reason } => {
            console.wrong(&format!("{mail} got no reply: {reason}"));
            Ok(false)
        }
        Ending::Waiting => {
            console.wrong(&format!("{mail} nothing came of it within {} s", PATIENCE.as_secs()));
            Ok(false)
        }
    }
}

fn where_to_look(cli: &Show, key: &str, console: Console) {
    console.title("Where to look");
    console.line(&format!("  API   {}   (described at {}/docs)", cli.api, cli.api));
    console.line(&format!("  key   {key}"));
    let file = cli.key_file.display();
    console.line(&console.dim(&format!("        curl -H \"Authorization: Bearer $(cat {file})\" \\")));
    console.line(&console.dim(&format!("             {}/v1/tenants", cli.api)));
}
