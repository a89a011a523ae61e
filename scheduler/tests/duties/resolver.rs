use std::time::Duration;

use postrider_queue::Job;
use postrider_scheduler::resolver::Resolver;
use postrider_shared::{
    jobs::SendEmail,
    messages::{Fence, MessageState},
};

use crate::{
    feeder::send,
    office::{Office, rounds},
};

on_both_databases![a_send_whose_process_ended_becomes_unknown_and_after_a_week_final];

async fn a_send_whose_process_ended_becomes_unknown_and_after_a_week_final(office: Office) {
    let account = office.account("quotes@harbourlane.example", Duration::from_mins(10), 250).await;
    let (before_data, _) = send(&office, &account, 1).await;
    let (after_data, attempt) = send(&office, &account, 2).await;
    let fence = office.stores.messages.data_starting(office.tenant, after_data, attempt).await.unwrap();
    assert!(matches!(fence, Fence::Open), "{fence:?}");
    let state = async |id| office.stores.messages.get(office.tenant, id).await.unwrap().state;

    let mut resolver = Resolver::new(office.stores.messages.clone(), office.clock.clone());
    office.clock.advance(SendEmail::TIMEOUT);
    rounds(&mut resolver).await;
    assert_eq!(state(after_data).await, MessageState::Sending, "the attempt may still live");

    office.clock.advance(SendEmail::TIMEOUT + Duration::from_secs(1));
    rounds(&mut resolver).await;
    assert_eq!(state(after_data).await, MessageState::Unknown);
    assert_eq!(state(before_data).await, MessageState::Sending, "nothing can have arrived: the next attempt sends it");

    office.clock.advance(Duration::from_hours(7 * 24 - 1));
    rounds(&mut resolver).await;
    assert_eq!(state(after_data).await, MessageState::Unknown);
    office.clock.advance(Duration::from_hours(2));
    rounds(&mut resolver).await;
    assert_eq!(state(after_data).await, MessageState::UnknownFinal);
}
