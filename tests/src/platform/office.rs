//! A tenant with a mailbox and products: what most tests of the mail pipeline begin with.

use std::time::Duration;

use serde_json::{Value, json};

use super::Platform;
use crate::canaries;
use crate::client::{Api, Job, Submitted};
use crate::mails;
use crate::wait::within;

/// A tenant that receives mail in the sandbox.
#[derive(Debug, Clone)]
pub struct Office {
    pub tenant_id: String,
    pub account_id: String,
    pub address: String,
    /// A platform key that acts for the tenant.
    pub api: Api,
}

/// A mail that answers others.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    pub from: &'a str,
    /// Message-IDs are without angle brackets.
    pub message_id: &'a str,
    /// The conversation so far, oldest first; the last one is the mail answered.
    pub thread: &'a [&'a str],
    /// As the Date header has it.
    pub date: Option<&'a str>,
    pub text: &'a str,
}

impl Reply<'_> {
    fn raw(self, to: &str) -> Vec<u8> {
        let thread: Vec<String> = self.thread.iter().map(|id| format!("<{id}>")).collect();
        let date = self.date.map(|date| format!("Date: {date}\r\n")).unwrap_or_default();
        let raw = format!(
            "From: {}\r\nTo: {to}\r\nSubject: Re: Anfrage\r\nMessage-ID: <{}>\r\nIn-Reply-To: {}\r\nReferences: {}\r\n{date}\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n",
            self.from,
            self.message_id,
            thread.last().map(String::as_str).unwrap_or_default(),
            thread.join(" "),
            self.text
        );
        raw.into_bytes()
    }
}

impl Office {
    /// The office's only quote, whole with its lines, once it is sent under this revision.
    ///
    /// # Panics
    /// After a minute.
    pub async fn sent_revision(&self, revision: i64) -> Value {
        within(Duration::from_secs(60), &format!("revision {revision} to be sent"), || async {
            let quotes = self.quotes().await;
            let [quote] = &quotes[..] else { return None };
            (quote["state"] == "sent" && quote["revision"] == revision).then(|| quote.clone())
        })
        .await
    }

    /// The mail with this Message-ID once it is read.
    ///
    /// # Panics
    /// After a minute.
    pub async fn read_mail(&self, message_id: &str) -> Value {
        within(Duration::from_secs(60), &format!("{message_id} to be read"), || async {
            let mails = self.mails().await;
            mails.into_iter().find(|mail| mail["rfc_message_id"] == message_id && mail["state"] != "received")
        })
        .await
    }

    /// Reads the mailbox now, and waits until that is done.
    ///
    /// # Panics
    /// When reading fails.
    pub async fn poll(&self) -> Job {
        let body = json!({ "kind": "poll_mailbox", "payload": { "account_id": self.account_id } });
        loop {
            let answer = self.api.post("/v1/jobs", &body).await;
            if answer.status == 409 {
                // The scheduler was first. That run may have looked before our mail came, so it does not count.
                let running = answer.problem(409, "unique-key-taken");
                self.api.finished(running["job_id"].as_str().expect("the holder's id")).await;
                continue;
            }
            let job: Submitted = answer.expect_status(202).into();
            let job = self.api.finished(&job.id).await;
            assert_eq!(job.state, "completed", "{job:#?}");
            return job;
        }
    }

    /// All quotes, oldest first, each whole with its lines.
    pub async fn quotes(&self) -> Vec<Value> {
        let mut quotes = Vec::new();
        for quote in self.api.all("/v1/quotes").await.iter().rev() {
            let id = quote["id"].as_str().expect("the quote's id");
            quotes.push(self.api.get(&format!("/v1/quotes/{id}")).await.ok());
        }
        quotes
    }

    /// All quotes, each with its `mail`, once there are `count` and none is on its way any more.
    ///
    /// # Panics
    /// After two minutes.
    pub async fn settled_quotes(&self, count: usize) -> Vec<Value> {
        within(Duration::from_secs(120), "all quotes to be sent or for review", || async {
            let listed = self.api.all("/v1/quotes").await;
            let over = |quote: &&Value| matches!(quote["state"].as_str(), Some("sent" | "needs_review" | "failed"));
            (listed.iter().filter(over).count() == count).then_some(())
        })
        .await;
        let mails = self.mails().await;
        let mut quotes = self.quotes().await;
        for quote in &mut quotes {
            let mail = mails.iter().find(|mail| mail["id"] == quote["mail_id"]);
            quote["mail"] = mail.cloned().unwrap_or_default();
        }
        quotes
    }

    /// All inbound mails, oldest first.
    pub async fn mails(&self) -> Vec<Value> {
        let mut mails = self.api.all("/v1/mails").await;
        mails.reverse();
        mails
    }
}

impl Platform {
    /// Delivers a request for two roll-ups, whose Message-ID is `NAME@kunden.example`, to an office.
    pub async fn deliver_request(&self, office: &Office, name: &str) {
        let raw = format!(
            "From: {name}@kunden.example\r\nTo: {}\r\nSubject: Anfrage {name}\r\nMessage-ID: <{name}@kunden.example>\r\n\r\n\
             Bitte ein Angebot: 2 Roll-ups.\r\n",
            office.address
        );
        self.sandbox().deliver(&office.address, raw.into_bytes()).await;
    }

    /// A workshop whose quote for a request that was [delivered](Self::deliver_request) under this name is sent, and the Message-ID of
    /// its reply.
    ///
    /// # Panics
    /// After a minute.
    pub async fn quoted(&self, name: &str) -> (Office, String) {
        let office = self.workshop(86_400).await;
        self.deliver_request(&office, name).await;
        office.poll().await;
        office.sent_revision(1).await;
        let reply = self.sandbox().accepted_at_least(1).await.remove(0);
        (office, reply.message_id.expect("our Message-ID"))
    }

    /// Delivers a mail that continues a conversation.
    pub async fn deliver_reply(&self, office: &Office, reply: Reply<'_>) {
        self.sandbox().deliver(&office.address, reply.raw(&office.address)).await;
    }

    /// A new tenant with nothing in it; the platform's key acts for it.
    pub async fn tenant(&self, name: &str) -> Api {
        let tenant = self.api().post("/v1/tenants", &json!({ "name": name })).await.expect_status(201).body;
        self.api().for_tenant(tenant["id"].as_str().expect("the tenant's id"))
    }

    /// A key of the tenant that `api` acts for: `viewer`, `agent` or `tenant_admin`.
    pub async fn key(&self, api: &Api, role: &str) -> Api {
        let key = api.post("/v1/api-keys", &json!({ "name": role, "role": role })).await.expect_status(201).body;
        api.with_key(key["key"].as_str().expect("the key's text"))
    }

    /// The sign workshop of `tests/mails`, its mailbox polled every `poll_seconds`.
    pub async fn workshop(&self, poll_seconds: u32) -> Office {
        self.workshop_with(json!({ "poll_interval_seconds": poll_seconds })).await
    }

    /// The same; `settings` are further fields of its account.
    pub async fn workshop_with(&self, settings: Value) -> Office {
        self.office("angebot@lindner-schilder.example", &mails::workshop(), &mails::products(), settings).await
    }

    /// A tenant, its products, and a mailbox in the sandbox; `settings` are further fields of the account.
    pub async fn office(&self, address: &str, tenant: &Value, products: &[Value], settings: Value) -> Office {
        let tenant = self.api().post("/v1/tenants", tenant).await.expect_status(201).body;
        let tenant_id = tenant["id"].as_str().expect("the tenant's id").to_owned();
        let api = self.api().for_tenant(&tenant_id);
        for product in products {
            api.post("/v1/products", product).await.expect_status(201);
        }
        let account_id = self.mailbox(&api, address, settings).await;
        Office { tenant_id, account_id, address: address.to_owned(), api }
    }

    /// Connects a new sandbox mailbox to a tenant and returns the account's id.
    pub async fn mailbox(&self, api: &Api, address: &str, settings: Value) -> String {
        let password = canaries::MAILBOX_PASSWORD;
        self.sandbox().client().create_mailbox(address, password).await.expect("make a mailbox");
        let (imap, smtp) = (self.sandbox().addresses().imap, self.sandbox().addresses().smtp);
        let mut account = json!({
            "address": address,
            "display_name": "Angebote",
            "imap_host": imap.ip(), "imap_port": imap.port(), "imap_security": "plain", "imap_username": address,
            "smtp_host": smtp.ip(), "smtp_port": smtp.port(), "smtp_security": "plain", "smtp_username": address,
            "password": password,
            "time_zone": "Europe/Berlin",
        });
        for (name, value) in settings.as_object().into_iter().flatten() {
            account[name] = value.clone();
        }
        let account = api.post("/v1/accounts", &account).await.expect_status(201).body;
        account["id"].as_str().expect("the account's id").to_owned()
    }
}
