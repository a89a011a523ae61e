//! AUTH PLAIN and AUTH LOGIN.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::session::Session;
use crate::faults::Stage;
use crate::google::xoauth2;

const MAX_RESPONSE_BYTES: usize = 12 * 1024;

pub(super) async fn authenticate(session: &mut Session, rest: &str) -> io::Result<()> {
    let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
    let initial = (!initial.is_empty()).then(|| initial.trim().to_owned());
    let credentials = match mechanism.to_ascii_uppercase().as_str() {
        "PLAIN" => {
            let response = match initial {
                Some(response) => Some(response),
                None => ask(session, "334 ").await?,
            };
            response.and_then(|response| plain(&response))
        }
        "LOGIN" => {
            let user = match initial {
                Some(user) => Some(user),
                None => ask(session, "334 VXNlcm5hbWU6").await?,
            };
            let password = if user.is_some() { ask(session, "334 UGFzc3dvcmQ6").await? } else { None };
            user.and_then(|user| text(&user)).zip(password.and_then(|password| text(&password)))
        }
        "XOAUTH2" => {
            let response = match initial {
                Some(response) => Some(response),
                None => ask(session, "334 ").await?,
            };
            return by_token(session, response.as_deref().unwrap_or_default()).await;
        }
        _ => return session.reply("504 5.5.4 unknown mechanism").await,
    };
    let Some((login, password)) = credentials else {
        return session.reply("501 5.5.2 cannot decode the response").await;
    };
    if let Some(reply) = session.fault(Stage::Auth, &[&login]).await? {
        return session.reply(&reply).await;
    }
    let Some(account) = session.office.mailboxes.login(&login, &password) else {
        // Rude servers repeat what they were told: our product is to keep it to itself.
        let told = STANDARD.encode(format!("\0{login}\0{password}"));
        return session.reply(&format!("535 5.7.8 username and password not accepted: {password} ({told})")).await;
    };
    session.account = Some(account);
    session.reply("235 2.7.0 authenticated").await
}

/// A token that is not good is answered with a challenge, which says why; only after the client's empty line it is refused.
async fn by_token(session: &mut Session, response: &str) -> io::Result<()> {
    let Some((login, token)) = xoauth2::read(response) else {
        return session.reply("501 5.5.2 not an XOAUTH2 response").await;
    };
    if let Some(reply) = session.fault(Stage::Auth, &[&login]).await? {
        return session.reply(&reply).await;
    }
    if xoauth2::opens(&session.office, &login, &token) {
        session.account = Some(login.to_lowercase());
        return session.reply("235 2.7.0 Accepted").await;
    }
    match ask(session, &format!("334 {}", xoauth2::challenge())).await?.as_deref() {
        Some("") => {
            let said = format!("535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 XOAUTH2 {response}");
            session.reply(&said).await
        }
        _ => session.reply("501 5.5.2 an empty line was to follow").await,
    }
}

/// One challenge; `None` if the client cancels with `*`.
async fn ask(session: &mut Session, challenge: &str) -> io::Result<Option<String>> {
    session.wire.say(format!("{challenge}\r\n").as_bytes()).await?;
    let line = session.wire.line(MAX_RESPONSE_BYTES).await?;
    let line = String::from_utf8_lossy(&line).trim().to_owned();
    Ok((line != "*").then_some(line))
}

/// `authorization NUL login NUL password`, in base64.
pub(crate) fn plain(response: &str) -> Option<(String, String)> {
    let decoded = text(response)?;
    let mut parts = decoded.splitn(3, '\0').skip(1).map(str::to_owned);
    Some((parts.next()?, parts.next()?))
}

fn text(base64: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(base64.trim()).ok()?).ok()
}
