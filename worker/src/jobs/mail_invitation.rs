//! Mails an invitation, while it is open.

use postrider_queue::Outcome;
use postrider_shared::database::{AllTenants, StoreError};
use postrider_shared::ids::InvitationId;
use postrider_shared::invitations::Invitations;
use postrider_shared::jobs::MailInvitation;
use secrecy::ExposeSecret;

use crate::context::Context;
use crate::registry::Handler;
use crate::system_mail::{self, Letter, Mailed, skipped};

impl Handler for MailInvitation {
    async fn run(self, ctx: &Context) -> Outcome {
        let Some(invitation) = ctx.invitations.get(AllTenants, self.invitation_id).await? else {
            return Ok(skipped());
        };
        let over = invitation.accepted_at.is_some() || invitation.revoked_at.is_some();
        if over || invitation.mailed_at.is_some() || invitation.expires_at <= ctx.clock.now() {
            return Ok(skipped());
        }
        let token = ctx.invitations.open(&invitation)?;
        let to_what = match invitation.tenant_id {
            Some(tenant) => format!("to work with {}", ctx.tenants.get(tenant).await?.name),
            None => "to run this installation".to_owned(),
        };
        let text = format!(
            "You are invited {to_what}, as {}.\n\nAccept with this token:\n\n{}\n\nIt is good until {}, and once. \
             Whoever has it can accept in your name, so do not pass it on. If you do not want to, you need not do anything.\n",
            invitation.role.as_str().replace('_', " "),
            token.expose_secret(),
            invitation.expires_at.format("%Y-%m-%d %H:%M UTC"),
        );
        let letter = Letter {
            to: invitation.email.clone(),
            subject: "You are invited".to_owned(),
            text,
            id: invitation.id.to_string(),
        };
        system_mail::send(ctx, letter, &Row { invitations: &ctx.invitations, id: invitation.id }).await
    }
}

struct Row<'a> {
    invitations: &'a Invitations,
    id: InvitationId,
}

impl Mailed for Row<'_> {
    async fn claim(&self) -> Result<bool, StoreError> {
        self.invitations.mailing(AllTenants, self.id).await
    }

    async fn give_back(&self) -> Result<(), StoreError> {
        self.invitations.not_mailed(AllTenants, self.id).await
    }
}
