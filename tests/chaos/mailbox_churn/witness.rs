//! What was delivered, and what the product says it read.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::clock::Clock;
use postrider_tests::{Dovecot, Platform};
use sea_orm::{FromQueryResult, Statement};

use super::ADDRESS;

/// Deliveries, by a token in the subject that no other mail has.
#[derive(Debug, Default)]
pub struct Witness {
    /// Whether it must be read: not, if it was expunged at about the same time.
    mails: BTreeMap<String, bool>,
    old: usize,
    copies: usize,
    last: Option<Vec<u8>>,
}

/// How the two compare.
#[derive(Debug)]
pub struct Found {
    pub read: usize,
    pub missed: Vec<String>,
    pub repeated: i64,
    pub replayed: Vec<String>,
}

#[derive(Debug, FromQueryResult)]
struct Row {
    subject: String,
    n: i64,
}

impl Witness {
    /// A mail from long before the connection; some servers note the arrival in the header, some do not.
    pub async fn old(&mut self, dovecot: &Dovecot) {
        let number = self.old;
        let at = Clock::system().now() - TimeDelta::days(60);
        let received = number.is_multiple_of(2).then_some(at);
        let raw = mail(&format!("old-{number}."), &format!("old-{number}"), at, received);
        dovecot.deliver_at(ADDRESS, &raw, Some(at.into())).await;
        self.old += 1;
    }

    /// So many mails at once: two of them share a Message-ID, one was dated ten days ago, one came a day before the
    /// connection and is filed only now, and one is a copy of an earlier one.
    /// `noted`: the server notes the arrival in the header.
    pub async fn burst(&mut self, dovecot: &Dovecot, size: usize, noted: bool) -> Vec<String> {
        let now = Clock::system().now();
        let first = self.mails.len();
        let mut tokens = Vec::new();
        for number in first..first + size {
            let token = format!("churn-{number}.");
            let id = if number == first + 1 { format!("churn-{first}") } else { format!("churn-{number}") };
            let dated = if number == first + 2 { now - TimeDelta::days(10) } else { now };
            let raw = mail(&token, &id, dated, noted.then_some(now));
            let filed_late = (number == first + 3).then(|| (now - TimeDelta::days(1)).into());
            dovecot.deliver_at(ADDRESS, &raw, filed_late).await;
            self.mails.insert(token.clone(), true);
            tokens.push(token);
            if number == first
                && size > 1
                && let Some(earlier) = self.last.replace(raw)
            {
                dovecot.deliver(ADDRESS, &earlier).await;
                self.copies += 1;
            }
        }
        tokens
    }

    pub fn may_be_missing(&mut self, token: &str) {
        self.mails.insert(token.to_owned(), false);
    }

    pub fn sent(&self) -> usize {
        self.mails.len() + self.old + self.copies
    }

    pub fn to_be_read(&self) -> usize {
        self.mails.values().filter(|must| **must).count()
    }

    pub async fn found(&self, platform: &Platform) -> Found {
        let connection = platform.database().connection().await;
        let sql = "SELECT subject, count(*) AS n FROM inbound_mails GROUP BY subject";
        let rows = Row::find_by_statement(Statement::from_string(connection.get_database_backend(), sql));
        let rows = rows.all(&connection).await.expect("read the mails");
        connection.close().await.expect("close the connection");
        let read: BTreeMap<&str, i64> = rows.iter().map(|row| (row.subject.as_str(), row.n)).collect();
        Found {
            read: read.keys().filter(|subject| self.mails.contains_key(**subject)).count(),
            missed: self
                .mails
                .iter()
                .filter(|(token, must)| **must && !read.contains_key(token.as_str()))
                .map(|(token, _)| token.clone())
                .collect(),
            repeated: rows.iter().map(|row| row.n - 1).sum(),
            replayed: read
                .keys()
                .filter(|subject| subject.starts_with("old-"))
                .map(|&subject| subject.to_owned())
                .collect(),
        }
    }
}

fn mail(token: &str, id: &str, dated: DateTime<Utc>, received: Option<DateTime<Utc>>) -> Vec<u8> {
    let received = received.map_or_else(String::new, |at| {
        format!("Received: from mx.sender.example by mail.lindner-schilder.example; {}\r\n", at.to_rfc2822())
    });
    let dated = dated.to_rfc2822();
    format!(
        "{received}From: Anna <anna@kunden.example>\r\nTo: {ADDRESS}\r\nSubject: {token}\r\nDate: {dated}\r\n\
         Message-ID: <{id}@kunden.example>\r\n\r\nVielen Dank, alles ist gut angekommen ({token}).\r\n"
    )
    .into_bytes()
}

/// When the mailbox was read last.
pub async fn last_polled(platform: &Platform) -> Option<DateTime<Utc>> {
    #[derive(FromQueryResult)]
    struct Polled {
        last_polled_at: Option<DateTime<Utc>>,
    }
    let connection = platform.database().connection().await;
    let sql = "SELECT last_polled_at FROM mailbox_cursors";
    let rows = Polled::find_by_statement(Statement::from_string(connection.get_database_backend(), sql));
    let row = rows.one(&connection).await.expect("read the place");
    connection.close().await.expect("close the connection");
    row.and_then(|row| row.last_polled_at)
}
