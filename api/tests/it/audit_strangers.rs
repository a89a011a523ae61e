//! What those leave in the audit log who are not signed in, and those who may not do what they ask for; a flood of it does not fill it.

use postrider_api::audit::tally;
use postrider_shared::quotes::DecisionLink;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};
use crate::audit::events;
use crate::identity::{PASSWORD, digits, login, member, open, other_digits, text};
use crate::wait::until;

const WRONG: &str = "wrong horse battery";

/// So many events, once they are written: what is counted is written beside the request.
pub async fn written(api: &Api, query: &str, count: usize) -> Vec<Value> {
    let found = until(&format!("{count} events of {query}"), async || {
        let found = events(api, query).await;
        (found.len() >= count).then_some(found)
    })
    .await;
    assert_eq!(found.len(), count, "{query}: {found:#?}");
    found
}

fn shown(event: &Value) -> (&str, &str, &str, i64) {
    let word = |name: &str| event[name].as_str().unwrap_or_default();
    (word("actor_kind"), word("kind"), word("outcome"), event["times"].as_i64().unwrap())
}

#[tokio::test]
async fn registering_and_signing_in_leave_events() {
    let api = Api::start().await;
    let body = json!({ "email": "jo@example.com", "name": "Jo", "password": PASSWORD, "tenant_name": "Jo's plates" });
    let asked = answer(open(&api, "/v1/auth/register", &body), StatusCode::ACCEPTED).await;
    let found = written(&api, "operation=register", 1).await;
    assert_eq!(shown(&found[0]), ("stranger", "sign_in", "attempted", 1));
    assert_eq!((&found[0]["actor_id"], &found[0]["ip"]), (&Value::Null, &json!("127.0.0.1")));

    let code = digits(&api, &asked).await;
    let wrong = json!({ "challenge": asked["challenge"], "code": other_digits(&code) });
    problem(open(&api, "/v1/auth/register/confirm", &wrong), "sign-in-refused").await;
    written(&api, "operation=confirm_registration&outcome=refused", 1).await;
    let confirm = json!({ "challenge": asked["challenge"], "code": code });
    let done = answer(open(&api, "/v1/auth/register/confirm", &confirm), StatusCode::CREATED).await;
    let (user, tenant) = (text(&done, "user_id"), &done["tenant_id"]);
    let found = written(&api, "operation=confirm_registration&outcome=done", 1).await;
    assert_eq!((shown(&found[0]), &found[0]["tenant_id"]), (("user", "change", "done", 1), tenant));
    assert_eq!(
        (&found[0]["actor_id"], &found[0]["after"]["role"]),
        (&json!(user), &json!("tenant_admin")),
        "{found:#?}"
    );

    let wrong = json!({ "email": "jo@example.com", "password": WRONG });
    problem(open(&api, "/v1/auth/login", &wrong), "sign-in-refused").await;
    let found = written(&api, "operation=login", 1).await;
    assert_eq!(shown(&found[0]), ("stranger", "sign_in", "refused", 1));
    assert_eq!((&found[0]["subject_id"], &found[0]["tenant_id"]), (&json!(user), tenant), "whose user it is, sees it");
    let nobody = json!({ "email": "nobody@example.com", "password": WRONG });
    problem(open(&api, "/v1/auth/login", &nobody), "sign-in-refused").await;
    let found = written(&api, "operation=login", 2).await;
    assert_eq!((&found[0]["subject_id"], &found[0]["tenant_id"]), (&Value::Null, &Value::Null));

    let session = login(&api, "jo@example.com").await;
    let found = written(&api, "operation=login&outcome=done", 1).await;
    assert_eq!((shown(&found[0]), &found[0]["subject_id"]), (("user", "sign_in", "done", 1), &session["session_id"]));

    let refresh = json!({ "refresh_token": session["refresh_token"] });
    answer(open(&api, "/v1/auth/refresh", &refresh), StatusCode::OK).await;
    assert_eq!(events(&api, "operation=refresh").await, Vec::<Value>::new(), "it goes on, which is no news");
    problem(open(&api, "/v1/auth/refresh", &refresh), "sign-in-refused").await;
    let found = written(&api, "operation=refresh", 1).await;
    assert_eq!((shown(&found[0]), &found[0]["tenant_id"]), (("stranger", "sign_in", "refused", 1), tenant));
    assert_eq!(
        (&found[0]["subject_id"], &found[0]["after"]),
        (&session["session_id"], &json!({ "ended_by": "reuse" }))
    );

    let ask = json!({ "email": "jo@example.com" });
    let asked = answer(open(&api, "/v1/auth/password-reset", &ask), StatusCode::ACCEPTED).await;
    let found = written(&api, "operation=ask_for_password_reset", 1).await;
    assert_eq!((shown(&found[0]).2, &found[0]["subject_id"]), ("attempted", &json!(user)));
    let reset = json!({ "challenge": asked["challenge"], "code": digits(&api, &asked).await, "password": PASSWORD });
    answer(open(&api, "/v1/auth/password-reset/confirm", &reset), StatusCode::NO_CONTENT).await;
    let found = written(&api, "operation=reset_password", 1).await;
    assert_eq!((shown(&found[0]).0, &found[0]["after"]["password_hash"]), ("user", &json!("(secret)")), "{found:#?}");
    let asked = answer(open(&api, "/v1/auth/otp", &ask), StatusCode::ACCEPTED).await;
    let code = json!({ "challenge": asked["challenge"], "code": digits(&api, &asked).await });
    let session = answer(open(&api, "/v1/auth/otp/verify", &code), StatusCode::OK).await;
    assert_eq!(shown(&written(&api, "operation=verify_code", 1).await[0]), ("user", "sign_in", "done", 1));
    answer(api.post(text(&session, "access_token"), "/v1/auth/logout", &json!({})), StatusCode::NO_CONTENT).await;
    assert_eq!(shown(&written(&api, "operation=logout", 1).await[0]).0, "user");

    let keys = api.tenant("Inviting").await;
    let ann = member(&api, &keys, "ann@example.com", "agent").await;
    let found = written(&api, "operation=accept_invitation", 1).await;
    assert_eq!((&found[0]["actor_id"], &found[0]["tenant_id"]), (&ann["user_id"], &json!(keys.id)), "{found:#?}");
    let all = answer(api.get(&api.platform_key, "/v1/audit-events?limit=200"), StatusCode::OK).await.to_string();
    assert!(!all.contains("horse") && !all.contains("argon2"), "{all}");
}

#[tokio::test]
async fn a_flood_of_refusals_leaves_two_events_an_hour() {
    let api = Api::start_with(&[("RATE_LIMIT_CALLER", "off"), ("RATE_LIMIT_ADDRESS", "off")]).await;
    let keys = api.tenant("Flooded").await;
    for _ in 0..50 {
        problem(api.get(&keys.viewer, "/v1/api-keys"), "forbidden").await;
        problem(api.post(&keys.viewer, "/v1/jobs", &json!({ "kind": "diagnostic.echo" })), "forbidden").await;
    }
    let found = written(&api, "outcome=refused", 2).await;
    assert!(found.iter().all(|event| event["tenant_id"] == json!(keys.id)), "{found:#?}");
    let kinds: Vec<_> = found.iter().map(|event| (text(event, "operation"), shown(event))).collect();
    assert!(kinds.contains(&("list_api_keys", ("key", "access", "refused", 1))), "{kinds:?}");
    assert!(kinds.contains(&("submit_job", ("key", "change", "refused", 1))), "{kinds:?}");

    tally::close(&api.app).await;
    let found = written(&api, "outcome=refused&operation=submit_job", 2).await;
    let times: i64 = found.iter().map(|event| shown(event).3).sum();
    assert_eq!(times, 50, "all are told, in two events");
    tally::close(&api.app).await;
    assert_eq!(events(&api, "outcome=refused").await.len(), 4, "and once only");
}

#[tokio::test]
async fn what_a_customer_decides_by_link_leaves_one_event_without_the_link() {
    let api = Api::start().await;
    let keys = api.tenant("Quoting").await;
    let account = api.post(&keys.admin, "/v1/accounts", &crate::resources::mailbox("quotes@example.com"));
    let account = answer(account, StatusCode::CREATED).await;
    let quote = crate::resources::rows(&api, &keys, text(&account, "id")).await["quotes"].clone();
    let sent = "UPDATE quotes SET state = 'sent', valid_until = '2999-01-01'";
    api.app.database().reader().execute_unprepared(sent).await.unwrap();
    let shown = answer(api.get(&keys.viewer, &format!("/v1/quotes/{quote}")), StatusCode::OK).await;
    let revision = u32::try_from(shown["revision"].as_u64().unwrap()).unwrap();
    let (tenant, id) = (keys.id.parse().unwrap(), quote.parse().unwrap());
    let link = DecisionLink::new(tenant, id, revision, "2999-01-01".parse().unwrap());
    let link = link.token(api.app.keys()).unwrap();
    let browser = Client::builder().redirect(Policy::none()).build().unwrap();
    let page = format!("http://{}/q/{link}", api.address);
    // Looking at it says nothing, and saying it twice is said once.
    assert_eq!(browser.get(&page).send().await.unwrap().status(), StatusCode::OK);
    assert!(events(&api, "operation=decide_by_link").await.is_empty());
    for decision in ["accept", "accept", "decline"] {
        let said = browser.post(&page).body(format!("decision={decision}")).send().await.unwrap();
        assert_eq!(said.status(), StatusCode::SEE_OTHER);
    }
    let found = events(&api, "operation=decide_by_link").await;
    let [event] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(shown_of(event), ("customer", "change", "done", "quotes"));
    assert_eq!((&event["tenant_id"], &event["subject_id"]), (&json!(keys.id), &json!(quote)), "{event:#}");
    assert_eq!((&event["after"]["state"], &event["actor_id"]), (&json!("accepted"), &Value::Null), "{event:#}");
    let all = answer(api.get(&api.platform_key, "/v1/audit-events?limit=200"), StatusCode::OK).await.to_string();
    assert!(!all.contains(&link), "whoever reads the log could decide");
}

fn shown_of(event: &Value) -> (&str, &str, &str, &str) {
    let word = |name: &str| event[name].as_str().unwrap_or_default();
    (word("actor_kind"), word("kind"), word("outcome"), word("resource"))
}
