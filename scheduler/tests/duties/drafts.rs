use std::time::Duration;

use postrider_queue::Job;
use postrider_scheduler::drafts::Drafts;
use postrider_shared::{
    jobs::TendDrafts,
    messages::{Draft, Verdict},
};
use sea_orm::ConnectionTrait;

use crate::{
    feeder::send,
    office::{Office, rounds},
};

on_both_databases![an_account_that_was_switched_to_smtp_is_tended_while_something_is_left];

async fn an_account_that_was_switched_to_smtp_is_tended_while_something_is_left(office: Office) {
    let account =
        async |name: &str| office.account(&format!("{name}@harbourlane.example"), Duration::from_mins(10), 250).await;
    let (by_gmail, switched, tidy, other) =
        (account("gmail").await, account("switched").await, account("tidy").await, account("other").await);
    for (account, transport) in [(&by_gmail, "gmail"), (&switched, "smtp"), (&tidy, "smtp")] {
        let sql = format!(
            "UPDATE accounts SET login = 'google', transport = '{transport}' WHERE address = '{}'",
            account.address
        );
        office.database.reader().execute_unprepared(&sql).await.unwrap();
    }
    for (number, account) in [(1, &switched), (2, &other)] {
        let (message, attempt) = send(&office, account, number).await;
        let draft = Draft { id: "r-1".to_owned(), thread_id: "t-1".to_owned() };
        let messages = &office.stores.messages;
        messages.store_draft(office.tenant, message, attempt, draft).await.unwrap();
        messages.data_starting(office.tenant, message, attempt).await.unwrap();
        let unknown = Verdict::Unknown { reason: "lost".to_owned() };
        messages.settle(office.tenant, message, attempt, unknown).await.unwrap();
    }
    let (accounts, messages) = (office.stores.accounts.clone(), office.stores.messages.clone());
    let mut drafts = Drafts::new(accounts, messages, office.queue.clone(), office.clock.clone());
    rounds(&mut drafts).await;
    let tended = |job: &postrider_queue::JobRecord| {
        assert_eq!(job.kind, TendDrafts::KIND);
        serde_json::from_slice::<TendDrafts>(&job.payload).unwrap().account_id
    };
    let mut found: Vec<_> = office.jobs().await.iter().map(tended).collect();
    let mut expected = vec![by_gmail.id, switched.id];
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
