//! From the ledger's row to the bytes for the wire.

use postrider_queue::Stop;
use postrider_shared::accounts::Account;
use postrider_shared::messages::Message;

use crate::access;
use crate::context::Context;
use crate::providers::smtp::{Attachment, Draft, Login, Submission};

pub(super) async fn of(ctx: &Context, account: &Account, message: &Message) -> Result<Submission, Stop> {
    let attachment = match (&message.attachment_key, &message.attachment_name) {
        (Some(key), name) => Some(Attachment {
            name: name.clone().unwrap_or_else(|| "quote.pdf".to_owned()),
            media_type: "application/pdf",
            bytes: ctx.objects.get(key).await?.to_vec(),
        }),
        (None, _) => None,
    };
    let draft = Draft {
        from_name: Some(account.display_name.clone()),
        from: account.address.clone(),
        to: message.to_address.clone(),
        subject: message.subject.clone(),
        message_id: message.rfc_message_id.clone(),
        in_reply_to: message.in_reply_to.clone(),
        references: message.references.0.clone(),
        date: ctx.clock.now().into(),
        ledger_id: message.id.to_string(),
        automatic: message.automatic,
        text: message.body_text.clone(),
        attachment,
    };
    Ok(draft.submission()?)
}

/// Where the account hands its mail in, and as whom.
pub(super) fn server(ctx: &Context, account: &Account, login: &access::Login) -> Login {
    let server = account.smtp();
    Login {
        endpoint: server.clone().into(),
        username: server.username,
        credential: login.credential.clone(),
        dialer: ctx.dialer.clone(),
    }
}
