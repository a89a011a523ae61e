//! What must be true in every state that can be reached.

use std::{cell::RefCell, rc::Rc};

use stateright::Property;

use super::{
    machine::State as JobState,
    world::{State, World},
};

pub(super) const ENDS_ONCE: &str = "a job is completed at most once";
pub(super) const FOLLOW_UPS: &str = "follow-ups are made by the completion, exactly then";
pub(super) const CAP: &str = "no more is sent than the cap allows";
pub(super) const UNITS: &str = "no unit is lost: what is not charged comes back";
pub(super) const ONE_LEASE: &str = "at most one process may trust its lease of a job";
pub(super) const IN_TIME: &str = "a worker in time is never taken for dead";
pub(super) const ATTEMPTS: &str = "only a retry burns an attempt";
pub(super) const NOT_LOST: &str = "every job ends if nothing more goes wrong";
pub(super) const OWN_COMPLETION: &str = "one's own completion is never called stale";
pub(super) const CHARGES: &str = "who comes back withdraws its charges";

thread_local! {
    /// The checker asks every property about one state before it goes to the next.
    static LAST: RefCell<Option<(State, Rc<State>)>> = const { RefCell::new(None) };
}

/// What comes of a state if nothing more goes wrong.
fn end(world: &World, state: &State) -> Rc<State> {
    LAST.with_borrow_mut(|last| {
        if let Some((known, end)) = last
            && known == state
        {
            return Rc::clone(end);
        }
        let end = Rc::new(world.undisturbed(state));
        *last = Some((state.clone(), Rc::clone(&end)));
        end
    })
}

pub(super) fn all() -> Vec<Property<World>> {
    vec![
        Property::always(ENDS_ONCE, |_, state: &State| state.queue.jobs.iter().all(|job| job.completions <= 1)),
        Property::always(FOLLOW_UPS, |_, state: &State| {
            state.queue.jobs.iter().all(|job| job.follow_ups == job.completions)
        }),
        Property::always(CAP, |_, state: &State| state.outside.sends <= state.queue.scopes[0].limit),
        Property::always(UNITS, |world: &World, state: &State| end(world, state).queue.scopes[0].open == 0),
        Property::always(ONE_LEASE, |_, state: &State| {
            (0..state.queue.jobs.len()).all(|job| {
                let trusting = state.workers.iter().filter(|worker| {
                    let trusts = state.queue.now < worker.lease_until;
                    trusts && worker.runs.iter().any(|run| run.job == job && !run.lost)
                });
                trusting.count() <= 1
            })
        }),
        Property::always(IN_TIME, |_, state: &State| !state.outside.innocent_reaped),
        Property::always(ATTEMPTS, |_, state: &State| {
            state.queue.jobs.iter().all(|job| match job.state {
                JobState::Available => job.attempt == job.retries,
                JobState::Running(_) | JobState::Completed => job.attempt == job.retries + 1,
                JobState::Cancelled => job.attempt <= job.retries + 1,
                JobState::Scheduled(_) | JobState::Retryable(_) | JobState::Dead | JobState::Gone => false, // not explored
            })
        }),
        Property::always(NOT_LOST, |world: &World, state: &State| {
            let end = end(world, state);
            let full = end.queue.scopes[0].used + end.queue.scopes[0].open >= end.queue.scopes[0].limit;
            end.queue.jobs.iter().all(|job| job.ended() || (job.state == JobState::Available && !job.reserved && full))
        }),
        Property::always(OWN_COMPLETION, |_, state: &State| !state.outside.own_completion_refused),
        Property::always(CHARGES, |world: &World, state: &State| {
            // Without a crash nobody stays charged, once every process has been heard again.
            let end = end(world, state);
            let crashed = state.faults.crashes < world.faults.crashes;
            crashed
                || end.workers.iter().all(|worker| {
                    (0..=worker.token % 16).all(|generation| end.queue.charges(worker.token - generation) == 0)
                }) && end.queue.jobs.iter().all(|job| job.ended() || job.crashes == 0)
        }),
    ]
}
