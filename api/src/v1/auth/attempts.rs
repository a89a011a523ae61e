//! How often an address may be tried, whether it has a user or not, by all processes together.

use std::time::Duration;

use postrider_queue::{RateLimit, RateSubject};
use postrider_shared::users::Email;

use crate::app::App;
use crate::problem::{Answer, Problem, ProblemType};

/// Ten at once, then one every half minute.
const TRIES: RateLimit = RateLimit { units: 2, per: Duration::from_mins(1), burst: 10 };

/// Counts a try to sign in with an address. A queue that is away does not keep people out: each try still costs a password's hash.
pub(super) async fn count(app: &App, email: &Email) -> Answer<()> {
    let subject = RateSubject::new(&format!("sign in {email}"));
    match app.queue().allow(&subject, &[subject.draw("tries", TRIES, 1)]).await {
        Ok(allowance) => match allowance.retry_after() {
            None => Ok(()),
            Some(wait) => Err(Problem::new(ProblemType::TooManyRequests, "").retry_after(wait)),
        },
        Err(error) => {
            tracing::warn!(%error, "tries to sign in are not counted");
            Ok(())
        }
    }
}
