//! LOGIN, AUTHENTICATE PLAIN, STARTTLS.

use std::io;

use super::session::{Answer, Session};
use super::value::Value;
use crate::faults::{FaultKind, Stage};
use crate::google::xoauth2;
use crate::smtp::plain_credentials;

const MAX_RESPONSE_BYTES: usize = 12 * 1024;

impl Session {
    pub(super) async fn log_in(&mut self, arguments: &[Value]) -> io::Result<Answer> {
        match arguments {
            [login, password] => match (login.text(), password.text()) {
                (Some(login), Some(password)) => self.check(&login, &password).await,
                _ => Ok("NO [AUTHENTICATIONFAILED] not UTF-8".into()),
            },
            _ => Ok("BAD LOGIN user password".into()),
        }
    }

    pub(super) async fn authenticate(&mut self, arguments: &[Value]) -> io::Result<Answer> {
        let texts: Vec<String> = arguments.iter().filter_map(Value::text).collect();
        let response = match &texts[..] {
            [mechanism] if mechanism.eq_ignore_ascii_case("PLAIN") => {
                self.wire.say(b"+ \r\n").await?;
                let line = self.wire.line(MAX_RESPONSE_BYTES).await?;
                String::from_utf8_lossy(&line).trim().to_owned()
            }
            [mechanism, initial] if mechanism.eq_ignore_ascii_case("PLAIN") => initial.clone(),
            [mechanism] if mechanism.eq_ignore_ascii_case("XOAUTH2") => {
                self.wire.say(b"+ \r\n").await?;
                let line = self.wire.line(MAX_RESPONSE_BYTES).await?;
                return self.check_token(String::from_utf8_lossy(&line).trim()).await;
            }
            [mechanism, initial] if mechanism.eq_ignore_ascii_case("XOAUTH2") => {
                return self.check_token(initial).await;
            }
            _ => return Ok("NO only PLAIN and XOAUTH2".into()),
        };
        match plain_credentials(&response) {
            Some((login, password)) => self.check(&login, &password).await,
            None => Ok("BAD cancelled or not decodable".into()),
        }
    }

    async fn check(&mut self, login: &str, password: &str) -> io::Result<Answer> {
        let fault = self.fault(Stage::Auth, &[login]).await?;
        if fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::RateLimit) {
            return Ok("NO [LIMIT] Too many simultaneous connections.".into());
        }
        let refused = fault.is_some();
        match self.office.mailboxes.login(login, password).filter(|_| !refused) {
            Some(address) => {
                self.login = Some(address);
                Ok(format!("OK [CAPABILITY {}] logged in", self.capabilities()))
            }
            // Rude servers repeat what they were told: our product is to keep it to itself.
            None => Ok(format!("NO [AUTHENTICATIONFAILED] invalid credentials for {login}: {password}")),
        }
    }

    /// A token that is not good is answered with a challenge, which says why; only after the client's empty line it is refused.
    async fn check_token(&mut self, response: &str) -> io::Result<Answer> {
        let Some((login, token)) = xoauth2::read(response) else {
            return Ok("BAD [CLIENTBUG] not an XOAUTH2 response".into());
        };
        let refused = self.fault(Stage::Auth, &[&login]).await?.is_some();
        if !refused && xoauth2::opens(&self.office, &login, &token) {
            self.login = Some(login.to_lowercase());
            return Ok(format!("OK [CAPABILITY {}] logged in", self.capabilities()));
        }
        self.wire.say(format!("+ {}\r\n", xoauth2::challenge()).as_bytes()).await?;
        match &self.wire.line(MAX_RESPONSE_BYTES).await?[..] {
            b"\r\n" | b"\n" => Ok(format!("NO [AUTHENTICATIONFAILED] Invalid credentials (Failure): {response}")),
            _ => Ok("BAD an empty line was to follow".into()),
        }
    }

    pub(super) async fn start_tls(&mut self, tag: &str) -> io::Result<Answer> {
        let Some(acceptor) = self.tls.clone().filter(|_| !self.wire.is_encrypted()) else {
            return Ok("BAD no TLS here".into());
        };
        self.wire.say(format!("{tag} OK begin TLS\r\n").as_bytes()).await?;
        self.wire.start_tls(&acceptor).await?;
        Ok(String::new())
    }
}
