//! The tasks that keep a session: its heartbeat, and its share of the maintenance.

use std::{
    iter,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};

use super::Session;
use crate::{client::Maintenance, error::QueueError, id::JobId, script, wire};

/// Open sessions are renewed so far apart, so that no job waits behind the calls to all shards of its server.
const APART: Duration = Duration::from_millis(2);
/// However many shards there are, the last is renewed after this time.
const ALL_WITHIN: Duration = Duration::from_millis(100);

/// Beats on their way at the same time: enough for answers that take as long as they may.
const MAX_BEATS: usize = 8;

/// Tells every shard of a server that the process lives, four times in its time to live; opens sessions where it is not
/// known. Each server has its own heartbeat, so that one that is away delays no other; and no beat waits for the answer
/// of the one before, so that slow answers end no session.
pub(super) async fn beat(session: Arc<Session>, server: usize) {
    let mut beats = FuturesUnordered::new();
    loop {
        let asked = session.beat.notified();
        tokio::pin!(asked);
        asked.as_mut().enable(); // before the calls, so that nothing asked meanwhile is missed
        if beats.len() < MAX_BEATS {
            beats.push(once(&session, server));
        }
        let mut next = Instant::now() + session.config.session_ttl / 4;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => break,
                () = &mut asked => break,
                Some(answer) = beats.next() => if let Err(error) = answer {
                    tracing::debug!(%error, "heartbeat unanswered, will be repeated");
                    next = next.min(Instant::now() + error.repeat_after());
                }
            }
        }
    }
}

/// One beat, to every shard of a server.
async fn once(session: &Session, server: usize) -> Result<(), QueueError> {
    let shards = session.client.link().shards_of(server).into_iter();
    let places = iter::successors(Some(Duration::ZERO), |after| Some((*after + APART).min(ALL_WITHIN)));
    let renewals = shards.zip(places).map(async |(shard, after)| {
        if session.is_open(shard) && !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        renew(session, shard).await
    });
    join_all(renewals).await.into_iter().collect()
}

async fn renew(session: &Session, shard: u16) -> Result<(), QueueError> {
    let token = session.token(shard);
    let open = if session.is_open(shard) { "0" } else { "1" };
    let mut args = vec![token.to_vec(), session.config.session_ttl.as_millis().to_string().into_bytes(), open.into()];
    if session.claiming.load(Ordering::Acquire) {
        args.extend(session.config.queues.iter().map(|queue| queue.as_str().into()));
    }
    let sent = Instant::now();
    let mut answer = wire::list(session.client.link().call(&script::RENEW, shard, &args).await?)?.into_iter();
    let known = answer.next().map(|value| wire::integer(&value)).transpose()?;
    if known != Some(1) {
        session.gone(shard, token);
        return Ok(());
    }
    session.confirmed(shard, sent);
    for id in answer {
        session.cancel(JobId::from_tail(shard, &wire::bytes(id)?)?);
    }
    Ok(())
}

/// Takes its share of the maintenance at a server.
pub(super) async fn maintain(session: Arc<Session>, server: usize) {
    let mut maintenance = Maintenance::of(&session.client, server);
    loop {
        let (found, pause, failed) = maintenance.round().await;
        if found.suspects {
            session.suspects_wait.notify_one();
        }
        if let Some(error) = failed {
            tracing::debug!(%error, "maintenance unanswered, will be repeated");
        }
        tokio::time::sleep(pause).await;
    }
}
