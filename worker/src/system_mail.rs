//! Mail that the installation itself sends to people who sign in, through a mail server of its own.
//!
//! Each is handed over at most once: its row says so right before the data starts, and only a certain failure takes that back. What
//! stays in doubt is not sent again; whoever waits for it asks for another one.

use std::time::Duration;

use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::config::SystemMailConfig;
use postrider_shared::database::StoreError;
use serde_json::json;

use crate::context::Context;
use crate::providers::credential::Credential;
use crate::providers::smtp::{self, Draft, Login, SmtpError};
use crate::providers::transport::Dialer;

/// How long the lease must still hold when the data starts.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// Where such mail is handed in, and from whom it is.
#[derive(Debug, Clone)]
pub struct SystemMail {
    login: Login,
    from: String,
}

/// What a mail says, and to whom.
pub(crate) struct Letter {
    pub to: String,
    pub subject: String,
    pub text: String,
    /// What it is about, stable over all attempts.
    pub id: String,
}

/// The row that says whether a letter went out.
pub(crate) trait Mailed: Sync {
    /// Whether it may be handed over now; notes that it was.
    fn claim(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;
    /// It certainly was not.
    fn give_back(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl SystemMail {
    pub fn new(config: SystemMailConfig, dialer: Dialer) -> Self {
        let dialer = dialer.anywhere();
        let (username, credential) = (config.server.username.clone(), Credential::Password(config.password));
        Self { login: Login { endpoint: config.server.into(), username, credential, dialer }, from: config.from }
    }
}

/// Hands a letter over, unless its row says no.
pub(crate) async fn send(ctx: &Context, letter: Letter, row: &impl Mailed) -> Outcome {
    let mail = ctx.system_mail()?;
    let domain = mail.from.rsplit('@').next().unwrap_or("localhost");
    let draft = Draft {
        from_name: Some("Postrider".to_owned()),
        from: mail.from.clone(),
        to: letter.to,
        subject: letter.subject,
        message_id: format!("{}@{domain}", letter.id),
        in_reply_to: None,
        references: Vec::new(),
        date: ctx.clock.now().into(),
        ledger_id: letter.id,
        automatic: true,
        text: letter.text,
        attachment: None,
    };
    let mut refused = None;
    let may_start = async {
        if !ctx.holds_for(LEASE_MARGIN) {
            refused = Some(Err(Stop::retry("the lease ends too soon")));
            return false;
        }
        match row.claim().await {
            Ok(true) => return true,
            Ok(false) => refused = Some(Ok(skipped())),
            Err(error) => refused = Some(Err(error.into())),
        }
        false
    };
    let sent = Box::pin(smtp::submit(&mail.login, &draft.submission()?, may_start)).await;
    if let (Some(outcome), Err(SmtpError::Overtaken)) = (refused, &sent) {
        return outcome;
    }
    match sent {
        Ok(_) => Ok(Done::with(json!({ "mailed": true }))),
        Err(SmtpError::Ambiguous { detail }) => {
            tracing::warn!(detail, "a mail about signing in is in doubt, and not sent again");
            Ok(Done::with(json!({ "mailed": "in doubt" })))
        }
        Err(
            error @ (SmtpError::LoginRefused { .. }
            | SmtpError::Forbidden
            | SmtpError::Insecure { .. }
            | SmtpError::DailyLimit { .. }),
        ) => {
            row.give_back().await?;
            tracing::error!(%error, "the mail server for mail about signing in cannot be used");
            Err(ctx.until_an_operator_looks(&error))
        }
        Err(
            error @ (SmtpError::Network { .. }
            | SmtpError::Timeout { .. }
            | SmtpError::Deferred { .. }
            | SmtpError::Overtaken
            | SmtpError::Refused { .. }
            | SmtpError::Unsendable { .. }),
        ) => {
            row.give_back().await?;
            Err(error.into())
        }
    }
}

/// The letter is of no use any more, or was handed over by an earlier run.
pub(crate) fn skipped() -> Done {
    Done::with(json!({ "skipped": "it was mailed before, used, or is over" }))
}
