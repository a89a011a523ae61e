//! How full the queues are, for `/metrics`: read when somebody scrapes, because a figure that nobody reads costs nothing.

use std::time::Duration;

use metrics::gauge;
use postrider_queue::{QueueClient, QueueStats};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// Scrapes within this time share one look, however many ask.
const FRESH: Duration = Duration::from_secs(5);
/// Longer than a healthy Redis takes by far, shorter than a scrape's own time-out.
const PATIENCE: Duration = Duration::from_secs(2);

/// The gauges of all queues:
///
/// * `postrider_queue_jobs{queue, state}`, the jobs in each state;
/// * `postrider_queue_oldest_age_seconds{queue}`, how long the oldest available job of a tenant that takes part has waited, 0 if
///   there is none;
/// * `postrider_queue_lanes{queue}` with jobs, and `postrider_queue_parked_lanes{queue}` that wait for a scope;
/// * `postrider_queue_paused{queue}`, 1 or 0;
/// * `postrider_queue_figures_up`, 1 if all these could be read, else 0, and then they are old.
#[derive(Debug, Default)]
pub struct Gauges {
    read_at: Mutex<Option<Instant>>,
}

impl Gauges {
    /// Brings the gauges up to date. A queue that does not answer is told by a gauge and fails nobody's scrape.
    pub async fn refresh(&self, queue: &QueueClient) {
        let mut read_at = self.read_at.lock().await;
        if read_at.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let up = match timeout(PATIENCE, queue.queues()).await {
            Ok(Ok(queues)) => {
                queues.iter().for_each(set);
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the queues' figures were not read");
                false
            }
            Err(_) => false,
        };
        gauge!("postrider_queue_figures_up").set(f64::from(u8::from(up)));
        *read_at = Some(Instant::now());
    }
}

fn set(stats: &QueueStats) {
    let queue = || stats.name.as_str().to_owned();
    let by_state = [
        ("available", stats.available),
        ("scheduled", stats.scheduled),
        ("retryable", stats.retryable),
        ("running", stats.running),
        ("dead", stats.dead),
        ("completed", stats.completed),
    ];
    for (state, jobs) in by_state {
        gauge!("postrider_queue_jobs", "queue" => queue(), "state" => state).set(float(jobs));
    }
    let age = stats.oldest_age.unwrap_or_default();
    gauge!("postrider_queue_oldest_age_seconds", "queue" => queue()).set(age.as_secs_f64());
    gauge!("postrider_queue_lanes", "queue" => queue()).set(float(stats.lanes));
    gauge!("postrider_queue_parked_lanes", "queue" => queue()).set(float(stats.parked_lanes));
    gauge!("postrider_queue_paused", "queue" => queue()).set(f64::from(u8::from(stats.paused)));
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 jobs")]
fn float(jobs: u64) -> f64 {
    jobs as f64
}
