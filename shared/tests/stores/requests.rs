use std::time::Duration;

use postrider_shared::{
    database::AllTenants,
    requests::{Begun, StoredAnswer},
};

use crate::scene::{Scene, on_both};

on_both!(a_repeated_request_gets_the_first_answer, a_request_whose_process_ended_is_taken_over);

const OPERATION: &str = "POST /v1/products";

async fn a_repeated_request_gets_the_first_answer(scene: Scene) {
    let requests = &scene.stores.requests;
    let begin = |fingerprint| requests.begin(Some(scene.tenant), OPERATION, "key", fingerprint);
    let begun = futures::future::join_all((0..6).map(|_| begin("a"))).await;
    let mut tickets = Vec::new();
    for begun in begun {
        match begun.unwrap() {
            Begun::Fresh(ticket) => tickets.push(ticket),
            other => assert_eq!(other, Begun::InProgress),
        }
    }
    assert_eq!(tickets.len(), 1);
    assert_eq!(begin("b").await.unwrap(), Begun::Conflict);
    let answer = StoredAnswer {
        status: 201,
        headers: vec![("location".to_owned(), "/v1/products/1".to_owned())],
        body: b"{}\xff".to_vec(),
    };
    requests.finish(tickets.remove(0), &answer).await.unwrap();
    assert_eq!(begin("a").await.unwrap(), Begun::Replay(answer));
    assert!(matches!(requests.begin(Some(scene.stranger), OPERATION, "key", "a").await.unwrap(), Begun::Fresh(_)));
    let Begun::Fresh(ticket) = requests.begin(None, OPERATION, "key", "a").await.unwrap() else { panic!() };
    requests.abandon(ticket).await.unwrap();
    assert!(matches!(requests.begin(None, OPERATION, "key", "c").await.unwrap(), Begun::Fresh(_)));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(requests.prune(AllTenants, scene.now(), 10).await.unwrap(), 3);
}

async fn a_request_whose_process_ended_is_taken_over(scene: Scene) {
    let requests = &scene.stores.requests;
    let begin = || requests.begin(Some(scene.tenant), OPERATION, "key", "a");
    let Begun::Fresh(old) = begin().await.unwrap() else { panic!() };
    scene.clock.advance(Duration::from_secs(61));
    let Begun::Fresh(new) = begin().await.unwrap() else { panic!() };
    let answer = |status| StoredAnswer { status, headers: Vec::new(), body: Vec::new() };
    requests.finish(old, &answer(500)).await.unwrap();
    requests.finish(new, &answer(201)).await.unwrap();
    assert_eq!(begin().await.unwrap(), Begun::Replay(answer(201)));
}
