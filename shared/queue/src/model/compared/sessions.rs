//! What workers do besides turns.

use super::{
    carried::{Carried, RULES, failed, same, token_bytes},
    worker::Worker,
};
use crate::{
    id::JobId,
    model::machine::{Broken, Id, Token},
    script, wire,
};

impl Carried<'_> {
    pub(super) async fn beat(&mut self, number: usize) -> Result<(), String> {
        let open = self.workers[number].token.is_none();
        let token = self.workers[number].token.unwrap_or(self.tokens);
        self.tokens = self.tokens.max(token + 1);
        self.workers[number].token = Some(token);
        if !self.renew(token, open).await? {
            self.happened.note("sessions taken for dead that lived", 1);
            self.begin_anew(number);
        }
        Ok(())
    }

    pub(super) async fn renew(&mut self, token: Token, open: bool) -> Result<bool, String> {
        let ttl = u64::from(RULES.ttl) * 1000;
        let flag = if open { "1" } else { "0" };
        let args = vec![token_bytes(token), ttl.to_string().into_bytes(), flag.into()];
        let answer = self.client.link().call(&script::RENEW, 0, &args).await.and_then(wire::list).map_err(failed)?;
        let known = self.model.renew(token, open, Broken::Nothing);
        same("a heartbeat", wire::integer(&answer[0]).map_err(failed)? == 1, known)?;
        let mut asked = Vec::new();
        for id in answer.into_iter().skip(1) {
            asked.push(self.id_of(JobId::from_tail(0, &wire::bytes(id).map_err(failed)?).map_err(failed)?));
        }
        asked.sort_unstable();
        let flagged = |id: &Id| known && self.model.jobs[*id].cancel && self.model.jobs[*id].runs();
        same("what is asked to stop", asked, (0..self.ids.len()).filter(flagged).collect())?;
        Ok(known)
    }

    /// A worker is another one from now on. What it had sent may still arrive.
    pub(super) fn begin_anew(&mut self, number: usize) {
        self.workers[number] = Worker::default();
    }

    pub(super) async fn begin_handlers(&mut self, number: usize) -> Result<(), String> {
        let Some(token) = self.workers[number].token else { return Ok(()) };
        for run in self.workers[number].runs.clone() {
            let args = vec![token_bytes(token), self.ids[run.job].tail().to_vec()];
            let answer = self.client.link().call(&script::STARTED, 0, &args).await;
            let noted = answer.and_then(|answer| wire::integer(&answer)).map_err(failed)? == 1;
            same("the begin of a handler", noted, self.model.started(token, run.job))?;
        }
        Ok(())
    }

    pub(super) async fn close(&mut self, number: usize) -> Result<(), String> {
        let Some(token) = self.workers[number].token else { return Ok(()) };
        let args = vec![token_bytes(token)];
        loop {
            let more = self.client.link().call(&script::CLOSE, 0, &args).await.and_then(|more| wire::integer(&more));
            if more.map_err(failed)? == 0 {
                break;
            }
        }
        self.model.close(token, Broken::Nothing);
        self.begin_anew(number);
        Ok(())
    }
}
