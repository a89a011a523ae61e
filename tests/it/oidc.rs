//! Signing in with ID tokens of an issuer whose keys a job fetches: rotated, away, and wrong.

use futures::future::join_all;
use postrider_sandbox::oidc::{Orders, Seen, Signer, Trouble};
use postrider_tests::client::Answer;
use postrider_tests::{Api, DatabaseKind, Platform, canaries, eventually};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

on_both_databases!(keys_come_by_a_job_and_are_asked_for_once);

async fn token(platform: &Platform, issuer: &str, person: &str) -> String {
    let claims = json!({
        "aud": "shop", "sub": person, "email": format!("{person}@gmail.com"), "email_verified": true, "name": person,
    });
    planted(platform.sandbox().client().id_token(issuer, &claims).await.expect("a token"))
}

/// The signature makes a token one: from now on it stands nowhere.
fn planted(token: String) -> String {
    canaries::plant(token.rsplit_once('.').expect("a signature").1);
    token
}

async fn enter(platform: &Platform, api: usize, token: &str) -> Answer {
    let body = json!({ "id_token": token, "tenant_name": "Plates" });
    Api::new(platform.api_addresses()[api].clone()).post("/v1/auth/oidc", &body).await
}

async fn seen(platform: &Platform, issuer: &str) -> Seen {
    platform.sandbox().client().issuer(issuer).await.expect("what the issuer saw")
}

/// Waits until so many issuers' keys are there. Whoever signed in to find out would have them fetched.
async fn fetched(platform: &Platform, issuers: u64) {
    let connection = platform.database().connection().await;
    let sql = "SELECT COUNT(*) AS n FROM key_sets WHERE expires_at IS NOT NULL";
    eventually("the issuers' keys", || async {
        let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await;
        let count: i64 = row.expect("count key sets")?.try_get("", "n").expect("a number");
        (count.unsigned_abs() == issuers).then_some(())
    })
    .await;
    connection.close().await.expect("close the connection");
}

async fn keys_come_by_a_job_and_are_asked_for_once(database: DatabaseKind) {
    let platform = Platform::with(database)
        .apis(2)
        .setting("REGISTRATION", &"open")
        .setting("RATE_LIMIT_SIGN_IN_ADDRESS", &"off")
        .with_issuers()
        .start()
        .await;
    let sandbox = platform.sandbox().client();
    fetched(&platform, 2).await;
    for issuer in ["google", "main"] {
        let jo = token(&platform, issuer, &format!("first-{issuer}")).await;
        enter(&platform, 0, &jo).await.expect_status(200);
        let Seen { discovery, keys } = seen(&platform, issuer).await;
        assert_eq!((discovery, keys), (1, 1), "{issuer}: the scheduler's fetch");
    }

    // Another key from now on: fifty people come at once to two processes, all get in, and the issuer is called once.
    sandbox.rotate_issuer("main").await.expect("rotate");
    let old = token(&platform, "google", "first-google").await;
    let tokens = join_all((0..50).map(|n| token(&platform, "main", if n % 2 == 0 { "ann" } else { "jo" }))).await;
    let all = tokens.iter().enumerate().map(|(n, token)| enter(&platform, n % 2, token));
    let statuses: Vec<u16> = join_all(all).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, vec![200; 50]);
    assert_eq!(seen(&platform, "main").await, Seen { discovery: 2, keys: 2 });

    // Keys that do not exist: nobody gets in, and the issuer is not called again so soon.
    let unknown = planted(Signer::new(9).token(&json!({
        "iss": format!("http://{}/oidc/main", platform.sandbox().addresses().http), "aud": "shop", "sub": "jo",
        "iat": 1_000_000_000, "exp": 9_000_000_000_i64,
    })));
    let tried = join_all((0..20).map(|n| enter(&platform, n % 2, &unknown))).await;
    for answer in tried {
        assert_eq!(answer.status, 503, "{:?}", answer.body);
        let wait: u64 = answer.header("retry-after").expect("when to come again").parse().expect("seconds");
        assert!((1..=30).contains(&wait), "{wait}");
    }
    assert_eq!(seen(&platform, "main").await, Seen { discovery: 2, keys: 2 });

    // An issuer that is away harms nobody whose key is known.
    let away = Trouble { status: 500, times: 100, ..Trouble::default() };
    let orders =
        Orders { issuer: Some("https://accounts.google.com".to_owned()), troubles: vec![away], ..Orders::default() };
    sandbox.order_issuer("google", &orders).await.expect("order");
    enter(&platform, 1, &old).await.expect_status(200);
    let told = platform.told_in_keys().await;
    assert!(told.is_empty(), "a token stands in Redis:\n{}", told.join("\n"));
    platform.finish().await;
}
