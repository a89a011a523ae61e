//! Quotes after they were sent: decided, offered again, changed.

use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, eventually, mails, pdf};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;

on_both_databases!(a_sent_quote_is_declined_revised_and_accepted);

/// Waits until the quote is sent under this number.
async fn sent(office: &Office, path: &str, number: &str) -> Value {
    eventually("the quote to be sent", || async {
        let quote = office.api.get(path).await.ok();
        (quote["state"] == "sent" && quote["number"].as_str() == Some(number)).then_some(quote)
    })
    .await
}

async fn a_sent_quote_is_declined_revised_and_accepted(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().deliver(&office.address, mails::simple_request(1, &office.address).raw).await;
    office.poll().await;
    let id = eventually("the quote", || async {
        let quotes = office.api.all("/v1/quotes").await;
        quotes.first().and_then(|quote| quote["id"].as_str().map(str::to_owned))
    })
    .await;
    let path = format!("/v1/quotes/{id}");
    let number = eventually("its number", || async {
        let quote = office.api.get(&path).await.ok();
        (quote["state"] == "sent").then(|| quote["number"].as_str().map(str::to_owned)).flatten()
    })
    .await;
    let first = sent(&office, &path, &number).await;
    let action = |name: &str| format!("{path}/{name}");

    let stale = office.api.post(&action("accept"), &json!({ "revision": 7 })).await.problem(409, "state-conflict");
    assert!(stale["detail"].as_str().unwrap().contains("revision 1"), "{stale}");
    let declined = office.api.post(&action("decline"), &json!({ "revision": 1 })).await.ok();
    assert_eq!(declined["state"], "declined");
    office.api.post(&action("decline"), &json!({})).await.ok();
    let refused = office.api.post(&action("accept"), &json!({})).await.problem(409, "state-conflict");
    assert!(refused["detail"].as_str().unwrap().contains("revise it"), "{refused}");

    // Five instead of what was asked for.
    let mut item =
        json!({ "sku": first["lines"][0]["sku"], "quantity": "5", "dimensions": first["lines"][0]["dimensions"] });
    if !first["lines"][0]["material"].is_null() {
        item["material"] = first["lines"][0]["material"].clone();
    }
    let revised = office.api.post(&action("revise"), &json!({ "items": [item] })).await.expect_status(202).body;
    assert_eq!((&revised["state"], &revised["revision"]), (&json!("draft"), &json!(2)));
    let second = sent(&office, &path, &format!("{number}-R2")).await;
    assert_eq!(second["lines"][0]["quantity"], "5");
    let renewed = office.api.post(&action("renew"), &json!({})).await.expect_status(202).body;
    assert_eq!(renewed["revision"], 3);
    let third = sent(&office, &path, &format!("{number}-R3")).await;
    assert_eq!(third["total"], second["total"]);
    let replies = platform.sandbox().accepted_at_least(3).await;
    assert_eq!(replies.len(), 3, "each revision goes out once");

    let kept = office.api.get(&action("revisions")).await.ok();
    let numbers: Vec<_> = kept["items"].as_array().unwrap().iter().map(|kept| kept["number"].clone()).collect();
    assert_eq!(numbers, [json!(number), json!(format!("{number}-R2"))]);
    assert_eq!(kept["items"][0]["total"], first["total"]);
    let old = office.api.bytes(&action("revisions/1/pdf")).await;
    assert!(pdf::text(&old).contains(&number) && !pdf::text(&old).contains("-R2"));
    let new = office.api.bytes(&action("pdf")).await;
    assert!(pdf::text(&new).contains(&format!("{number}-R3")));
    office.api.get(&action("revisions/9/pdf")).await.problem(404, "not-found");

    let accepted = office.api.post(&action("accept"), &json!({})).await.ok();
    assert_eq!(accepted["state"], "accepted");
    let agreed = office.api.post(&action("renew"), &json!({})).await.problem(409, "state-conflict");
    assert!(agreed["detail"].as_str().unwrap().contains("agreed"), "{agreed}");
    let events = office.api.get(&action("events")).await.ok();
    let events = events["items"].as_array().unwrap();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["from_state"], &last["to_state"], &last["actor"]),
        (&json!("sent"), &json!("accepted"), &json!("agent"))
    );
    assert!(last["via"].as_str().unwrap().starts_with("key "), "{last}");

    let stranger = platform.tenant("Nosy").await;
    for name in ["events", "revisions", "revisions/1/pdf"] {
        stranger.get(&action(name)).await.problem(404, "not-found");
    }
    for name in ["accept", "decline", "renew", "revise"] {
        stranger.post(&action(name), &json!({})).await.problem(404, "not-found");
    }
    platform.finish().await;
}

on_both_databases!(a_customer_decides_by_the_link_in_the_mail);

async fn a_customer_decides_by_the_link_in_the_mail(database: DatabaseKind) {
    let public = "https://quotes.example.com";
    let platform = Platform::with(database).setting("PUBLIC_URL", &public).start().await;
    let office = platform.workshop(NEVER).await;
    for number in [1, 2] {
        platform.sandbox().deliver(&office.address, mails::simple_request(number, &office.address).raw).await;
    }
    office.poll().await;
    let mut pages = Vec::new();
    for reply in platform.sandbox().accepted_at_least(2).await {
        let raw = platform.sandbox().raw(&reply).await;
        let mail = mail_parser::MessageParser::new().parse(&raw).expect("a mail");
        let text = mail.body_text(0).expect("a text").replace("\r\n", "\n");
        let start = text.find(public).unwrap_or_else(|| panic!("no link in:\n{text}")) + public.len();
        pages.push(text[start..].lines().next().unwrap().trim().to_owned());
    }
    let lives = || async {
        let quotes = office.quotes().await;
        let mut states: Vec<_> = quotes.iter().map(|quote| quote["state"].as_str().unwrap().to_owned()).collect();
        states.sort();
        states
    };
    eventually("both to be sent", || async { (lives().await == ["sent", "sent"]).then_some(()) }).await;

    // Whoever has the link needs nothing else: no key, no cookie.
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = |page: &str| format!("{}{page}", platform.api().base());
    let say =
        async |page: &str, word: &str| http.post(url(page)).body(format!("decision={word}")).send().await.unwrap();
    let look = async |page: &str| {
        let answer = http.get(url(page)).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert!(answer.headers().get("set-cookie").is_none());
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for page in &pages {
        let (status, html) = look(page).await;
        assert!(status == 200 && html.contains("value=\"accept\""), "{status}: {html}");
    }
    assert_eq!(say(&pages[0], "maybe").await.status(), 200);
    assert_eq!(lives().await, ["sent", "sent"], "looking, and nonsense, change nothing");

    let clicks = [say(&pages[0], "accept"), say(&pages[0], "decline"), say(&pages[0], "accept")];
    for answer in futures::future::join_all(clicks).await {
        let to = answer.headers()["location"].to_str().unwrap();
        assert_eq!((answer.status().as_u16(), to), (303, pages[0].as_str()));
    }
    let (status, html) = look(&pages[0]).await;
    assert!(status == 200 && !html.contains("<form"), "{html}");
    assert_eq!(say(&pages[1], "decline").await.status(), 303);
    let decided = lives().await;
    assert!(decided == ["accepted", "declined"] || decided == ["declined", "declined"], "{decided:?}");

    // What was offered before is not what is offered now.
    let declined =
        office.quotes().await.into_iter().rfind(|quote| quote["state"] == "declined").expect("a declined one");
    let path = format!("/v1/quotes/{}", declined["id"].as_str().unwrap());
    office.api.post(&format!("{path}/renew"), &json!({})).await.expect_status(202);
    sent(&office, &path, &format!("{}-R2", declined["number"].as_str().unwrap())).await;
    for page in &pages {
        assert_eq!(say(page, "accept").await.status(), 303);
    }
    assert_eq!(office.api.get(&path).await.ok()["state"], "sent", "an old link decides nothing");
    let token = pages[1].trim_start_matches("/q/");
    let altered = format!("/q/{}!", &token[..token.len() - 1]);
    for wrong in ["/q/nothing", &altered, "/q/k.AAAA.AAAA"] {
        assert_eq!(look(wrong).await.0, 404, "{wrong}");
        assert_eq!(say(wrong, "accept").await.status(), 404, "{wrong}");
    }
    platform.finish().await;
}
