//! Mails a one-time code, while it is good.

use postrider_queue::Outcome;
use postrider_shared::database::{AllTenants, StoreError};
use postrider_shared::ids::CodeId;
use postrider_shared::jobs::MailCode;
use postrider_shared::one_time_codes::{CodePurpose, OneTimeCode, OneTimeCodes};
use secrecy::ExposeSecret;

use crate::context::Context;
use crate::registry::Handler;
use crate::system_mail::{self, Letter, Mailed, skipped};

impl Handler for MailCode {
    async fn run(self, ctx: &Context) -> Outcome {
        let Some(code) = ctx.one_time_codes.get(AllTenants, self.code_id).await? else { return Ok(skipped()) };
        if code.mailed_at.is_some() || code.used_at.is_some() || code.expires_at <= ctx.clock.now() {
            return Ok(skipped());
        }
        let digits = ctx.one_time_codes.open(&code)?;
        let letter = letter(&code, digits.expose_secret());
        system_mail::send(ctx, letter, &Row { codes: &ctx.one_time_codes, id: code.id }).await
    }
}

/// In English, whoever reads it: nobody has said yet which language they speak.
fn letter(code: &OneTimeCode, digits: &str) -> Letter {
    let with_code = |what: &str, unasked: &str| {
        format!(
            "{what} with this code: {digits}\n\nIt is good for ten minutes, and once. If you did not ask for it, {unasked}.\n"
        )
    };
    let harmless = "you need not do anything";
    let intruder = "somebody else is signed in as you: choose a new password, which ends their session";
    // Not in the subject: those are shown on locked screens.
    let (subject, text) = match code.purpose {
        CodePurpose::SignIn => ("Your code for signing in", with_code("Sign in", harmless)),
        CodePurpose::Register => ("Your code for registering", with_code("Finish your registration", harmless)),
        CodePurpose::ResetPassword => ("Your code for a new password", with_code("Choose a new password", harmless)),
        CodePurpose::DeleteAccount => {
            ("Your code for deleting your account", with_code("Delete your account", intruder))
        }
        CodePurpose::ChangeEmail => {
            ("Your code for another address", with_code("Give your account another address", intruder))
        }
        CodePurpose::NewEmail => {
            ("Your code for this address", with_code("Make this the address of your account", harmless))
        }
        CodePurpose::NewEmailTaken => (
            "This address has an account",
            "Somebody wanted to make this the address of their account, but it has one already. If it was you, sign in \
             with that one, or delete it first. If it was not, you need not do anything.\n"
                .to_owned(),
        ),
        CodePurpose::AddressTaken => (
            "You are registered already",
            "Somebody wanted to register with this address, which is registered already. If it was you, sign in, or \
             choose a new password if you forgot yours. If it was not, you need not do anything.\n"
                .to_owned(),
        ),
    };
    Letter { to: code.email.clone(), subject: subject.to_owned(), text, id: code.id.to_string() }
}

struct Row<'a> {
    codes: &'a OneTimeCodes,
    id: CodeId,
}

impl Mailed for Row<'_> {
    async fn claim(&self) -> Result<bool, StoreError> {
        self.codes.mailing(AllTenants, self.id).await
    }

    async fn give_back(&self) -> Result<(), StoreError> {
        self.codes.not_mailed(AllTenants, self.id).await
    }
}
