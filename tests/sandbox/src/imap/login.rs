//! LOGIN, AUTHENTICATE PLAIN, STARTTLS.

use std::io;

use super::session::{Answer, Session};
use super::value::Value;
use crate::faults::Stage;
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
            _ => return Ok("NO only PLAIN".into()),
        };
        match plain_credentials(&response) {
            Some((login, password)) => self.check(&login, &password).await,
            None => Ok("BAD cancelled or not decodable".into()),
        }
    }

    async fn check(&mut self, login: &str, password: &str) -> io::Result<Answer> {
        let refused = self.fault(Stage::Auth, &[login]).await?.is_some();
        match self.office.mailboxes.login(login, password).filter(|_| !refused) {
            Some(address) => {
                self.login = Some(address);
                Ok(format!("OK [CAPABILITY {}] logged in", self.capabilities()))
            }
            None => Ok("NO [AUTHENTICATIONFAILED] invalid credentials".into()),
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
