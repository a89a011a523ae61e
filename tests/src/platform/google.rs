//! Mailboxes of Google accounts, and their owners.

use std::net::SocketAddr;

use postrider_sandbox::Client;
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::{Office, Platform};
use crate::canaries;
use crate::client::{Answer, Api};
use crate::wait::eventually;

/// Where the sandbox at this address plays Google, and who we are to it; the mail servers are the sandbox's, too.
pub fn google_settings(http: SocketAddr, imap: SocketAddr, smtp: SocketAddr) -> Vec<(String, String)> {
    [
        ("GOOGLE_CLIENT_ID", "sandbox-client".to_owned()),
        ("GOOGLE_CLIENT_SECRET", canaries::OAUTH_CLIENT.to_owned()),
        // Whoever plays the owner's browser knows where the API really is.
        ("GOOGLE_REDIRECT_URL", "http://postrider.example/google/callback".to_owned()),
        ("GOOGLE_AUTH_URL", format!("http://{http}/o/oauth2/v2/auth")),
        ("GOOGLE_TOKEN_URL", format!("http://{http}/token")),
        ("GOOGLE_REVOKE_URL", format!("http://{http}/revoke")),
        ("GMAIL_API_URL", format!("http://{http}")),
        ("GMAIL_IMAP_SERVER", format!("plain://{imap}")),
        ("GMAIL_SMTP_SERVER", format!("plain://{smtp}")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Where the sandbox at this address plays issuers of ID tokens.
pub fn issuer_settings(http: SocketAddr) -> Vec<(String, String)> {
    let discovery = format!("http://{http}/oidc/google/.well-known/openid-configuration");
    [
        ("GOOGLE_SIGN_IN_CLIENT_ID", "shop".to_owned()),
        ("GOOGLE_SIGN_IN_DISCOVERY_URL", discovery),
        ("OIDC_ISSUERS", format!("http://{http}/oidc/main=shop")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// What Google sends the owner's browser back with: the query of the callback.
pub async fn owner_answers(consent_url: &str) -> String {
    let browser = reqwest::Client::builder().redirect(Policy::none()).build().expect("build a browser");
    let answer = browser.get(consent_url).send().await.expect("ask Google");
    let status = answer.status();
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok()).map(str::to_owned);
    let Some(location) = location else {
        panic!("Google answered {status}: {}", answer.text().await.unwrap_or_default())
    };
    location.split_once('?').expect("a query").1.to_owned()
}

impl Platform {
    /// What the callback answers to this query.
    pub async fn callback(&self, query: &str) -> Answer {
        Api::new(self.api_addresses()[0].clone()).get(&format!("/google/callback?{query}")).await
    }

    /// Opens the consent's URL as the owner, and comes back to the callback.
    pub async fn consents(&self, consent: &Value) -> Answer {
        let url = consent["url"].as_str().expect("the consent's URL");
        self.callback(&owner_answers(url).await).await
    }

    /// A Google account of this tenant, whose owner has yet to consent; with the consent.
    pub async fn google_account(&self, api: &Api, google: &Client, address: &str, settings: Value) -> (String, Value) {
        google.create_mailbox(address, "not known to anybody").await.expect("make a mailbox");
        let mut account = json!({ "address": address, "display_name": "Angebote", "time_zone": "Europe/Berlin" });
        for (name, value) in settings.as_object().into_iter().flatten() {
            account[name] = value.clone();
        }
        let made = api.post("/v1/accounts/google", &account).await.expect_status(201).body;
        assert_eq!(made["account"]["state"], "connecting", "{made}");
        let id = made["account"]["id"].as_str().expect("the account's id").to_owned();
        (id, made["consent"].clone())
    }

    /// An office whose mailbox is that of a Google account, connected, and sends over SMTP.
    pub async fn google_office(
        &self,
        google: &Client,
        address: &str,
        (tenant, products): (&Value, &[Value]),
        settings: Value,
    ) -> Office {
        let tenant = self.api().post("/v1/tenants", tenant).await.expect_status(201).body;
        let tenant_id = tenant["id"].as_str().expect("the tenant's id").to_owned();
        let api = self.api().for_tenant(&tenant_id);
        for product in products {
            api.post("/v1/products", product).await.expect_status(201);
        }
        let (account_id, consent) = self.google_account(&api, google, address, settings).await;
        let office = Office { tenant_id, account_id, address: address.to_owned(), api };
        self.consents(&consent).await.expect_status(200);
        office.in_state("active").await;
        office
    }
}

impl Office {
    /// Waits until the account is in this state, and returns it.
    pub async fn in_state(&self, state: &str) -> Value {
        eventually(&format!("the account to be {state}"), || async {
            let account = self.api.get(&format!("/v1/accounts/{}", self.account_id)).await.ok();
            (account["state"] == state).then_some(account)
        })
        .await
    }

    /// Asks the owner again.
    pub async fn ask_consent(&self) -> Value {
        self.api.post(&format!("/v1/accounts/{}/consent", self.account_id), &json!({})).await.ok()
    }

    /// What happened to the account, oldest first: kind and detail.
    pub async fn events(&self) -> Vec<(String, String)> {
        let mut events = self.api.all(&format!("/v1/accounts/{}/events", self.account_id)).await;
        events.reverse();
        let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
        events.iter().map(|event| (text(event, "kind"), text(event, "detail"))).collect()
    }
}
