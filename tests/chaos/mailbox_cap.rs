//! Three workers share an account with a small daily cap, one of them is killed: the cap is never exceeded by one.

use std::time::Duration;

use postrider_tests::mails::simple_request;
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform, Report};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let (mails, cap) = if short { (24, 8_usize) } else { (120, 40) };
    let platform = Platform::with(DatabaseKind::Sqlite).workers(3).start().await;
    let settings = json!({ "daily_cap": cap, "poll_interval_seconds": 600 });
    let office = platform.workshop_with(settings).await;
    // Replies take a moment, so that several workers are sending at once.
    platform.sandbox().fault(json!({ "target": "smtp", "kind": "latency", "stage": "accepted", "ms": 100 })).await;
    for number in 0..mails {
        let mail = simple_request(number, &office.address);
        platform.sandbox().deliver(&office.address, mail.raw).await;
    }
    office.poll().await;
    let victim = dice.random_range(0..3_usize);
    let kill_at = dice.random_range(1..cap / 2);
    platform.sandbox().accepted_at_least(kill_at).await;
    platform.worker(victim).kill_and_restart().await;

    let rows = within(Duration::from_secs(120), "the cap to be used up and the rest to wait", || async {
        let rows = platform.ledger().await;
        let charged = rows.iter().filter(|row| matches!(row.state.as_str(), "accepted" | "unknown")).count();
        let sending = rows.iter().filter(|row| row.state == "sending").count();
        (rows.len() == mails && charged >= cap && sending == 0).then_some(rows)
    })
    .await;
    let accepted = platform.sandbox().accepted().await.len();
    let unknown = rows.iter().filter(|row| row.state == "unknown").count();
    let waiting = rows.iter().filter(|row| row.state == "planned").count();
    platform.abandon("what is over the cap waits for tomorrow");

    let mut report = Report::new("mailbox-cap");
    report
        .figure("seed", seed)
        .figure("mails", mails)
        .figure("cap", cap)
        .figure("accepted_by_the_server", accepted)
        .figure("unknown", unknown)
        .figure("waiting_for_tomorrow", waiting)
        .must("the server accepted no more than the cap", accepted <= cap)
        .must("everything else waits", accepted + unknown + waiting >= mails);
    report
}
