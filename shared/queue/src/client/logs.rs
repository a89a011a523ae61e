//! Reading the logs of jobs.

use super::QueueClient;
use crate::{error::QueueError, id::JobId, record::LogLine, script, wire};

impl QueueClient {
    /// The newest lines that a job's handlers wrote, at most 200, oldest first. They live as long as its record.
    pub async fn log(&self, id: JobId) -> Result<Vec<LogLine>, QueueError> {
        if id.shard() >= self.shards() {
            return Ok(Vec::new());
        }
        let answer = self.link().call(&script::READ_LOG, id.shard(), &vec![id.tail().to_vec()]).await?;
        wire::list(answer)?.into_iter().map(|line| line_of(&wire::bytes(line)?)).collect()
    }
}

fn line_of(raw: &[u8]) -> Result<LogLine, QueueError> {
    let (at, text) =
        raw.split_at_checked(6).ok_or_else(|| QueueError::Corrupt("a line of a log that is too short".to_owned()))?;
    let at = at.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
    Ok(LogLine { at: wire::time(at)?, text: String::from_utf8_lossy(text).into_owned() })
}
