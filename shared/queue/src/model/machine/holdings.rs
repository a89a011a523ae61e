//! What a session holds, and taking it back.

use super::{Broken, Id, Machine, State, Time, Token, Use};

impl Machine {
    /// A stopping worker gives back what it holds.
    pub(in crate::model) fn close(&mut self, token: Token, broken: Broken) {
        let unit = if broken == Broken::StopFreesUnit { Use::NotUsed } else { Use::Unknown };
        let known = self.knows(token);
        self.take_back(token, unit, |_, _| 0);
        if !known {
            self.withdraw_charges(token, broken);
        }
    }

    /// Ends a session; its jobs go back to the head of the lane without an attempt. A redelivery keeps its reservation;
    /// nobody knows what a run did that had been asked to stop. `charge` is told of each, and for how long it must wait.
    pub(super) fn take_back(&mut self, token: Token, unit: Use, mut charge: impl FnMut(&mut Self, Id) -> Time) {
        let session = self.sessions.remove(&token).unwrap_or_default();
        let held: Vec<_> = session.suspects.into_iter().chain(session.held).collect();
        let mut back = Vec::new();
        for id in held {
            let wait = charge(self, id);
            if self.jobs[id].cancel {
                self.end(id, State::Cancelled, unit);
                continue;
            }
            self.put_by(id);
            self.jobs[id].attempt -= 1;
            if wait > 0 {
                self.jobs[id].state = State::Scheduled(self.now.saturating_add(wait));
            } else {
                back.push(id);
            }
        }
        back.into_iter().rev().for_each(|id| self.make_available(id, true));
    }

    /// What a session holds, with the epochs.
    pub(in crate::model) fn held(&self, token: Token, suspects: bool) -> Vec<(Id, u8)> {
        let Some(session) = self.sessions.get(&token) else { return Vec::new() };
        let suspects = if suspects { session.suspects.as_slice() } else { &[] };
        session.held.iter().chain(suspects).map(|id| (*id, self.jobs[*id].epoch)).collect()
    }
}
