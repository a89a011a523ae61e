//! Keys of issuers of ID tokens, from issuers that are well and from others.

use std::time::{Duration, Instant};

use postrider_sandbox::oidc::{Body, Orders, Seen, Trouble};
use postrider_shared::config::Settings;
use postrider_shared::egress::Egress;
use postrider_worker::providers::oidc::{Found, Oidc, OidcError};
use postrider_worker::providers::transport::Trust;

use super::Servers;

const NAME: &str = "main";

struct Issuer {
    servers: Servers,
    name: String,
    oidc: Oidc,
}

impl Issuer {
    async fn start() -> Self {
        let servers = Servers::start().await;
        let name = format!("http://{}/oidc/{NAME}", servers.sandbox.addresses.http);
        let issuers = Settings::of([("OIDC_ISSUERS", format!("{name}=shop").as_str())]).read().unwrap();
        Self { servers, name, oidc: Oidc::new(issuers, Egress::default(), &Trust::default()).unwrap() }
    }

    async fn fetch(&self, orders: Orders) -> Result<Found, OidcError> {
        self.servers.control.order_issuer(NAME, &orders).await.unwrap();
        self.oidc.fetch(self.oidc.issuer(&self.name).unwrap()).await
    }

    async fn troubled(&self, trouble: Trouble) -> OidcError {
        self.fetch(Orders { troubles: vec![trouble], ..Orders::default() }).await.unwrap_err()
    }
}

#[tokio::test]
async fn an_issuers_keys_come_with_the_life_that_it_gives_them() {
    let issuer = Issuer::start().await;
    let found = issuer.fetch(Orders { max_age: Some(7_200), ..Orders::default() }).await.unwrap();
    assert_eq!((found.keys[0].kid.as_str(), found.keys.len(), found.life), ("key-0", 1, Some(Duration::from_hours(2))));
    issuer.servers.control.rotate_issuer(NAME).await.unwrap();
    let found = issuer.fetch(Orders { max_age: None, ..Orders::default() }).await.unwrap();
    assert_eq!((found.keys[0].kid.as_str(), found.keys.len(), found.life), ("key-1", 1, None));
    assert_eq!(issuer.servers.control.issuer(NAME).await.unwrap(), Seen { discovery: 2, keys: 2 });
    assert!(issuer.oidc.issuer("https://login.example.com").is_none());
}

#[tokio::test]
async fn whatever_else_an_issuer_answers_is_no_key_set() {
    let issuer = Issuer::start().await;
    for keys in [false, true] {
        for body in [Body::Huge, Body::Wrong] {
            let found = issuer.troubled(Trouble { keys, body, ..Trouble::default() }).await;
            assert!(matches!(found, OidcError::Malformed { .. }), "{keys} {body:?}: {found}");
        }
        for status in [302, 404, 429, 500] {
            let found = issuer.troubled(Trouble { keys, status, ..Trouble::default() }).await;
            assert_eq!(found, OidcError::Refused { status });
        }
    }
    let foreign = Trouble { body: Body::Foreign, ..Trouble::default() };
    assert_eq!(issuer.troubled(foreign.clone()).await, OidcError::AnotherIssuer);
    let empty = issuer.troubled(Trouble { keys: true, ..foreign }).await;
    assert!(matches!(empty, OidcError::Malformed { .. }), "{empty}");
}

#[tokio::test]
async fn an_issuer_does_not_choose_whom_we_call() {
    let issuer = Issuer::start().await;
    for elsewhere in
        ["http://127.0.0.1:9/keys", "https://127.0.0.1/keys", "https://[::1]/keys", "https://169.254.169.254/"]
    {
        let orders = Orders { jwks_uri: Some(elsewhere.to_owned()), ..Orders::default() };
        assert_eq!(issuer.fetch(orders).await, Err(OidcError::Forbidden), "{elsewhere}");
    }
    // A name is looked up before it is refused.
    let orders = Orders { jwks_uri: Some("https://localhost/keys".to_owned()), ..Orders::default() };
    let found = issuer.fetch(orders).await.unwrap_err();
    assert!(found.to_string().contains("a network that this installation does not allow"), "{found}");
}

#[tokio::test]
async fn an_issuer_that_says_nothing_is_given_up() {
    let issuer = Issuer::start().await;
    let began = Instant::now();
    let silence = Trouble { keys: true, delay_ms: 60_000, ..Trouble::default() };
    assert_eq!(issuer.troubled(silence).await, OidcError::Timeout);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
