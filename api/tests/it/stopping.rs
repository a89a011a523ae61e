//! When the API is told to stop.

use std::time::Duration;

use postrider_api::serve;
use rustix::process::{Signal, getpid, kill_process};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_stop_is_heard_before_anything_listens_for_it() {
    let stopping = CancellationToken::new();
    let told = serve::stop_signal(stopping.clone()).unwrap();
    // Not caught, it would end this process here.
    kill_process(getpid(), Signal::TERM).unwrap();
    tokio::time::timeout(Duration::from_secs(10), told).await.expect("the stop was kept for who listens later");
    assert!(stopping.is_cancelled());
}
