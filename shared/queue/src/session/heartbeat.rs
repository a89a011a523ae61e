//! The tasks that keep a session: its heartbeat, and its share of the maintenance.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;

use super::Session;
use crate::{error::QueueError, id::JobId, script, wire};

const REPEAT_AFTER: Duration = Duration::from_millis(100);
/// Steps of maintenance are this far apart when nothing is due sooner.
const TICK_EVERY: Duration = Duration::from_millis(200);
const TICK_AT_ONCE: Duration = Duration::from_millis(2);

/// Tells every shard of a server that the process lives, four times in its time to live; opens sessions where it is not
/// known. Each server has its own heartbeat, so that one that is away delays no other.
pub(super) async fn beat(session: Arc<Session>, server: usize) {
    loop {
        let asked = session.beat.notified();
        tokio::pin!(asked);
        asked.as_mut().enable(); // before the calls, so that nothing asked meanwhile is missed
        let shards = session.client.link().shards_of(server).into_iter();
        let answers = join_all(shards.map(|shard| renew(&session, shard))).await;
        let failed = answers.iter().find_map(|answer| answer.as_ref().err());
        let pause = match failed {
            Some(error) => {
                tracing::debug!(%error, "heartbeat unanswered, will be repeated");
                REPEAT_AFTER
            }
            None => session.config.session_ttl / 4,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = asked => {}
        }
    }
}

async fn renew(session: &Session, shard: u16) -> Result<(), QueueError> {
    let token = session.token(shard);
    let open = if session.is_open(shard) { "0" } else { "1" };
    let args = vec![token.to_vec(), session.config.session_ttl.as_millis().to_string().into_bytes(), open.into()];
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

/// Takes bounded steps of maintenance at a server; more often while there is more to do or a job is due sooner.
pub(super) async fn maintain(session: Arc<Session>, server: usize) {
    loop {
        let ticked = session.client.tick_server(server).await;
        if ticked.as_ref().is_ok_and(|ticked| ticked.suspects) {
            session.suspects_wait.notify_one();
        }
        let pause = match ticked {
            Ok(ticked) if ticked.more => TICK_AT_ONCE,
            Ok(ticked) => ticked.next_due.map_or(TICK_EVERY, |due| due.clamp(TICK_AT_ONCE, TICK_EVERY)),
            Err(error) => {
                tracing::debug!(%error, "maintenance unanswered, will be repeated");
                REPEAT_AFTER
            }
        };
        tokio::time::sleep(pause).await;
    }
}
