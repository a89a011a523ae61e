//! What people do to lanes and scopes.

use super::{
    carried::{Carried, HOUR, LANES, UNLIMITED, WORK, failed, lane, scope},
    steps::Step,
};
use crate::scope::{CapSpec, ScopeLimits, Window};

impl Carried<'_> {
    pub(super) async fn pause_lane(&mut self, number: usize, paused: bool) -> Result<(), String> {
        let lane = lane(number);
        let told = if paused {
            self.client.pause_lane(&self.tenant, &WORK, &lane).await
        } else {
            self.client.resume_lane(&self.tenant, &WORK, &lane).await
        };
        self.model.lanes[number].paused = paused;
        told.map_err(failed)
    }

    pub(super) async fn pause_scope(&mut self, number: usize, paused: bool) -> Result<(), String> {
        let told = if paused {
            self.client.pause_scope(&self.tenant, &scope(number)).await
        } else {
            self.client.resume_scope(&self.tenant, &scope(number)).await
        };
        self.model.scopes[number].paused = paused;
        told.map(drop).map_err(failed)
    }

    pub(super) async fn pause_queue(&mut self, paused: bool) -> Result<(), String> {
        let told = if paused { self.client.pause(&WORK).await } else { self.client.resume(&WORK).await };
        self.model.paused = paused;
        told.map_err(failed)
    }

    /// Tells the scripts what the model has.
    pub(super) async fn define(&self, number: usize) -> Result<(), String> {
        let of_model = &self.model.scopes[number];
        let window = Window { starts_at: self.instant(0) - HOUR, ends_at: self.instant(0) + 24 * HOUR, used_before: 0 };
        let limits = ScopeLimits {
            caps: vec![CapSpec::calendar(of_model.limit.into(), vec![window])],
            in_flight: (of_model.flights != UNLIMITED).then(|| of_model.flights.into()),
            paused: of_model.paused,
            ..ScopeLimits::default()
        };
        self.client.define_scope(&self.tenant, &scope(number), &limits).await.map(drop).map_err(failed)
    }

    /// What people do to the queue.
    pub(super) async fn control(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Cancel(pick) => self.cancel(*pick).await?,
            Step::Promote(pick) => self.promote(*pick).await?,
            Step::PauseLane(pick, paused) => self.pause_lane(usize::from(*pick) % LANES.len(), *paused).await?,
            Step::CancelLane(pick) => {
                let number = usize::from(*pick) % LANES.len();
                self.client.cancel_lane(&self.tenant, &WORK, &lane(number)).await.map_err(failed)?;
                self.model.cancel_lane(number);
            }
            Step::PauseScope(pick, paused) => {
                let number = usize::from(*pick) % self.model.scopes.len();
                self.pause_scope(number, *paused).await?;
            }
            Step::PauseQueue(paused) => self.pause_queue(*paused).await?,
            Step::Flights(pick, flights) => {
                let number = usize::from(*pick) % self.model.scopes.len();
                self.model.scopes[number].flights = *flights;
                self.define(number).await?;
            }
            Step::Cap(pick, limit) => {
                let number = usize::from(*pick) % self.model.scopes.len();
                self.model.scopes[number].limit = *limit;
                self.define(number).await?;
            }
            _ => {}
        }
        Ok(())
    }
}
