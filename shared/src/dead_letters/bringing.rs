//! From letters that are `redriving` to the queue, many at a time.

use futures::{StreamExt, TryStreamExt, stream};
use postrider_queue::{Enqueued, JobId, QueueError};

use super::{
    BulkStep, DeadLetterFilter, Edit, Place,
    origin::Origin,
    redrive::{NO_ROOM, Redriver, verdict},
};
use crate::{
    ids::{DeadLetterId, TenantId},
    outbox::{Enqueue, RelayError},
};

/// Jobs that are looked for at the same time.
const LOOKS: usize = 16;

/// What became of letters that were to be enqueued.
pub(super) struct Brought<'a> {
    redriven: u64,
    /// Stay dead.
    refused: u64,
    /// Still `redriving`, because the queue has no room; and how it said so.
    pub(super) no_room: Option<(Vec<&'a Origin>, QueueError)>,
}

impl<Q: Enqueue> Redriver<Q> {
    /// Redrives up to `limit` dead letters of the filter, each once, whatever crashes: the same three steps as for a single
    /// one, for many of them together. A letter whose process ended in between is `redriving` and finished by the sweep. What the
    /// queue has no room for is dead again at the end.
    pub async fn redrive_many(
        &self,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        edit: &Edit,
        after: Option<Place>,
        limit: u64,
    ) -> Result<BulkStep, RelayError> {
        let mut step = BulkStep::default();
        let mut began = after;
        let mut taken = self.letters().begin_many(tenant, filter, edit, after, limit).await?;
        loop {
            let many = taken.origins.len() as u64 + taken.refused;
            let left = limit.saturating_sub(step.settled + step.refused + many);
            // While these are enqueued, the next ones are read.
            let following = async {
                let after = taken.next.filter(|_| left > 0)?;
                Some(self.letters().begin_many(tenant, filter, edit, Some(after), left).await)
            };
            let (brought, following) = tokio::join!(Box::pin(self.bring(&taken.origins)), Box::pin(following));
            let brought = brought?;
            let following = following.transpose()?;
            step.settled += brought.redriven;
            if let Some((mut waiting, _)) = brought.no_room {
                waiting.extend(following.iter().flat_map(|following| &following.origins));
                step.settled += Box::pin(self.put_back_many(&waiting)).await?;
                // Those that were refused are looked at again.
                return Ok(BulkStep { next: began, no_room: true, ..step });
            }
            step.refused += taken.refused + brought.refused;
            step.next = taken.next;
            let Some(following) = following else { return Ok(step) };
            began = taken.next;
            taken = following;
        }
    }

    /// Enqueues letters that are `redriving` and settles each that the queue has room for. An error leaves those that it may have
    /// taken to the sweep.
    pub(super) async fn bring<'a>(&self, origins: &'a [Origin]) -> Result<Brought<'a>, RelayError> {
        let mut answered = Answered::default();
        let (mut found, mut jobs) = (Vec::with_capacity(origins.len()), Vec::new());
        for origin in origins {
            match origin.job() {
                Ok(job) => {
                    found.push(origin);
                    jobs.push(job);
                }
                Err(error) => answered.refused.push((origin.id, error.to_string())),
            }
        }
        let answers = match self.define_shares_of(&jobs).await {
            Ok(()) => self.queue().enqueue_each(jobs).await,
            Err(error) => Err(error),
        };
        match answers {
            Ok(answers) => answered.take(found, answers),
            // The queue refuses one of them for ever and said so before it took any.
            Err(QueueError::Invalid { .. }) => {
                let answers = self.one_by_one(&found).await?;
                answered.take(found, answers);
            }
            // Not even for a share.
            Err(error @ QueueError::Full) => (answered.waiting, answered.full) = (found, Some(error)),
            Err(error) => return Err(error.into()),
        }
        if answered.full.take_if(|full| matches!(full, QueueError::TooDeep { .. })).is_some() {
            // Many are refused together: some of them may fit.
            let waiting = std::mem::take(&mut answered.waiting);
            let answers = self.one_by_one(&waiting).await?;
            answered.take(waiting, answers);
        }
        let Answered { redriven, refused, waiting, full, failed } = answered;
        let brought = (redriven.len() as u64, refused.len() as u64);
        self.letters().settle_many(&redriven, refused).await?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        Ok(Brought { redriven: brought.0, refused: brought.1, no_room: full.map(|full| (waiting, full)) })
    }

    /// Each for itself, until the queue has no room.
    async fn one_by_one(&self, origins: &[&Origin]) -> Result<Vec<Result<Enqueued, QueueError>>, RelayError> {
        let mut answers = Vec::with_capacity(origins.len());
        for origin in origins {
            let answer = match self.queue().enqueue_each(vec![origin.job()?]).await {
                Ok(answers) => answers.into_iter().next().unwrap_or_else(|| Err(unanswered())),
                Err(error) => Err(error),
            };
            let malformed = matches!(&answer, Err(QueueError::Invalid { .. }));
            let goes_on = answer.is_ok() || malformed;
            answers.push(answer);
            if !goes_on {
                break;
            }
        }
        Ok(answers)
    }

    /// The queue has no room: the letters are dead again, but for those whose job is there after all, by a call whose answer was
    /// lost. Returns how many these are.
    async fn put_back_many(&self, origins: &[&Origin]) -> Result<u64, RelayError> {
        let jobs = origins.iter().map(|origin| Ok((origin.id, origin.successor()?)));
        let jobs: Vec<(DeadLetterId, JobId)> = jobs.collect::<Result<_, QueueError>>()?;
        let look = |(id, job)| async move { self.queue().has(job).await.map(|is_there| (id, is_there)) };
        let looked: Vec<(DeadLetterId, bool)> = stream::iter(jobs).map(look).buffered(LOOKS).try_collect().await?;
        let (there, absent): (Vec<_>, Vec<_>) = looked.into_iter().partition(|(_, is_there)| *is_there);
        let ids = |letters: Vec<(DeadLetterId, bool)>| letters.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        let (there, absent) = (ids(there), ids(absent));
        self.letters().settle_many(&there, Vec::new()).await?;
        self.letters().put_back(&absent, NO_ROOM).await?;
        Ok(there.len() as u64)
    }
}

/// What the queue said, letter by letter.
#[derive(Default)]
struct Answered<'a> {
    redriven: Vec<DeadLetterId>,
    refused: Vec<(DeadLetterId, String)>,
    waiting: Vec<&'a Origin>,
    /// Why they wait.
    full: Option<QueueError>,
    /// What leaves it open whether some were taken.
    failed: Option<QueueError>,
}

impl<'a> Answered<'a> {
    /// Letters without an answer were not sent.
    fn take(&mut self, origins: Vec<&'a Origin>, answers: Vec<Result<Enqueued, QueueError>>) {
        let mut answers = answers.into_iter();
        for origin in origins {
            match answers.next() {
                Some(Ok(answer)) => match verdict(answer) {
                    Ok(_) => self.redriven.push(origin.id),
                    Err(refusal) => self.refused.push((origin.id, refusal.to_string())),
                },
                Some(Err(error @ QueueError::Invalid { .. })) => self.refused.push((origin.id, error.to_string())),
                Some(Err(error @ (QueueError::Full | QueueError::TooDeep { .. }))) => {
                    self.waiting.push(origin);
                    self.full = self.full.take().or(Some(error));
                }
                Some(Err(error)) => self.failed = self.failed.take().or(Some(error)),
                None => self.waiting.push(origin),
            }
        }
    }
}

fn unanswered() -> QueueError {
    QueueError::Corrupt("no answer for an enqueued job".to_owned())
}
