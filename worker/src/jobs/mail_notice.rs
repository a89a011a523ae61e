//! Mails somebody word of what was changed about their account, while it is news.

use postrider_queue::Outcome;
use postrider_shared::database::{AllTenants, StoreError};
use postrider_shared::ids::NoticeId;
use postrider_shared::jobs::MailNotice;
use postrider_shared::notices::{Notice, NoticeKind, Notices};

use crate::context::Context;
use crate::registry::Handler;
use crate::system_mail::{self, Letter, Mailed, skipped};

impl Handler for MailNotice {
    async fn run(self, ctx: &Context) -> Outcome {
        let Some(notice) = ctx.notices.waiting(AllTenants, self.notice_id).await? else { return Ok(skipped()) };
        system_mail::send(ctx, letter(&notice), &Row { notices: &ctx.notices, id: notice.id }).await
    }
}

/// In English, whoever reads it: nobody has said yet which language they speak.
fn letter(notice: &Notice) -> Letter {
    let at = notice.created_at.format("%Y-%m-%d %H:%M UTC");
    let issuer = notice.issuer.as_deref().unwrap_or("another site");
    let (subject, text) = match notice.kind {
        NoticeKind::PasswordChanged => (
            "Your password was changed",
            format!(
                "The password of your account was changed at {at}, and all other sessions have ended.\n\nIf it was not you, \
                 choose a new one with a mailed code at once: somebody else may be signed in as you.\n"
            ),
        ),
        NoticeKind::IdentityLinked => (
            "Your account has another way to sign in",
            format!(
                "Since {at} one can sign in to your account with an identity of {issuer}, too.\n\nIf it was not you, choose \
                 a new password with a mailed code, sign in with it, and remove that identity.\n"
            ),
        ),
        NoticeKind::IdentityRemoved => (
            "A way to sign in to your account was removed",
            format!(
                "Since {at} one cannot sign in to your account with an identity of {issuer} any more.\n\nIf it was not you, \
                 choose a new password with a mailed code: somebody else may be signed in as you.\n"
            ),
        ),
        // Not the new address: the old mailbox may be somebody else's by now.
        NoticeKind::EmailChanged => (
            "The address of your account was changed",
            format!(
                "Your account got another address at {at}. Mail about signing in goes there from now on, and all other \
                 sessions have ended.\n\nIf it was not you, tell those who run this installation at once: this address \
                 opens the account no longer.\n"
            ),
        ),
    };
    Letter { to: notice.email.clone(), subject: subject.to_owned(), text, id: notice.id.to_string() }
}

struct Row<'a> {
    notices: &'a Notices,
    id: NoticeId,
}

impl Mailed for Row<'_> {
    async fn claim(&self) -> Result<bool, StoreError> {
        self.notices.mailing(AllTenants, self.id).await
    }

    async fn give_back(&self) -> Result<(), StoreError> {
        self.notices.not_mailed(AllTenants, self.id).await
    }
}
