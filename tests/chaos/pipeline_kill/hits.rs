//! Which kills hit something. Counted while no worker lives, so what is held then was held by the dead.

use std::collections::HashSet;

use postrider_queue::QueueClient;
use postrider_tests::Platform;

use crate::jobs;

#[derive(Debug, Default)]
pub struct Hits {
    /// Kills that left at least one held job behind.
    pub held: usize,
    /// Kills that left a message which the server has and our ledger does not know of.
    pub after_accept: usize,
    /// Message-IDs that were counted.
    doubtful: HashSet<String>,
}

impl Hits {
    /// Looks at what a kill of all workers left behind.
    pub async fn count(&mut self, platform: &Platform) {
        let client: QueueClient = jobs::client(platform.redis()).await;
        let queues = client.queues().await.expect("the queue's figures");
        self.held += usize::from(queues.iter().any(|queue| queue.running > 0));

        let rows = platform.ledger().await;
        let sending: HashSet<&str> =
            rows.iter().filter(|row| row.state == "sending").map(|row| row.rfc_message_id.as_str()).collect();
        let mut new = false;
        for accepted in platform.sandbox().accepted().await {
            let id = accepted.message_id.unwrap_or_default().trim_matches(['<', '>']).to_owned();
            if sending.contains(id.as_str()) && self.doubtful.insert(id) {
                new = true;
            }
        }
        self.after_accept += usize::from(new);
    }
}
