//! Ordered misbehaviour: which server does what wrong, at which stage, how often and to whom.
//!
//! Servers ask `strike` at every stage of a conversation with the texts known by then (login, sender, recipients,
//! subject); a fault answers if its stage, its `match` and its dice agree. Dice are seeded, so a run repeats exactly.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod conversation;
mod kind;

pub use kind::{FaultKind, Stage, Target};

/// What `POST /control/faults` takes. Without `times` and `probability` it strikes until it is removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub target: Target,
    pub kind: FaultKind,
    /// The kind's usual stage if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// How often it strikes before it is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Chance of each matching occasion, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    #[serde(default)]
    pub seed: u64,
    /// How many matching occasions pass unharmed first.
    #[serde(default)]
    pub skip: u64,
    /// Part of the login, sender, a recipient or the subject; without regard to case.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// Delay of `latency`, in milliseconds; other kinds wait this long before they strike.
    #[serde(default)]
    pub ms: u64,
    /// The SMTP reply line or the HTTP status of an error, instead of the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Seconds in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// A fault as it stands: with its id and what it has done so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub id: u64,
    /// Occasions that matched, harmed or not.
    pub seen: u64,
    pub struck: u64,
    #[serde(flatten)]
    pub fault: Fault,
}

/// Why an order was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{target:?} has no fault {kind:?} at stage {stage:?}")]
    Impossible { target: Target, kind: FaultKind, stage: Stage },
    #[error("probability must lie between 0 and 1")]
    Probability,
}

/// What happens now: first the delay, then the kind, if any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strike {
    pub delay: Duration,
    pub fault: Option<Fault>,
}

#[derive(Debug, Default)]
struct Orders {
    last_id: u64,
    standing: Vec<Standing>,
}

#[derive(Debug, Default)]
pub struct Faults(Mutex<Orders>);

impl Faults {
    pub fn add(&self, fault: Fault) -> Result<Standing, Refused> {
        let stage = fault.stage();
        if !fault.kind.is_possible(fault.target, stage) {
            return Err(Refused::Impossible { target: fault.target, kind: fault.kind, stage });
        }
        if fault.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err(Refused::Probability);
        }
        let mut orders = self.lock();
        orders.last_id += 1;
        let standing = Standing { id: orders.last_id, seen: 0, struck: 0, fault };
        orders.standing.push(standing.clone());
        Ok(standing)
    }

    /// Every fault since the last clearing, spent ones too.
    pub fn all(&self) -> Vec<Standing> {
        self.lock().standing.clone()
    }

    pub fn remove(&self, id: u64) -> bool {
        let mut orders = self.lock();
        let before = orders.standing.len();
        orders.standing.retain(|standing| standing.id != id);
        orders.standing.len() < before
    }

    pub fn clear(&self) {
        self.lock().standing.clear();
    }

    /// Asks whether anything goes wrong here. Delays add up; of the other kinds the oldest strikes.
    pub fn strike(&self, target: Target, stage: Stage, texts: &[&str]) -> Strike {
        let mut strike = Strike::default();
        for standing in &mut self.lock().standing {
            let latency = standing.fault.kind == FaultKind::Latency;
            if standing.fault.target != target
                || standing.fault.stage() != stage
                || (!latency && strike.fault.is_some())
            {
                continue;
            }
            if standing.fault.matches(texts) && standing.draw() {
                strike.delay += Duration::from_millis(standing.fault.ms);
                if !latency {
                    strike.fault = Some(standing.fault.clone());
                }
            }
        }
        strike
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fault {
    /// A fault of this kind at its usual stage, until it is removed.
    pub fn new(target: Target, kind: FaultKind) -> Self {
        Self {
            target,
            kind,
            stage: None,
            times: None,
            probability: None,
            seed: 0,
            skip: 0,
            matching: None,
            ms: 0,
            reply: None,
            retry_after: None,
        }
    }

    #[must_use]
    pub fn at(self, stage: Stage) -> Self {
        Self { stage: Some(stage), ..self }
    }

    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    #[must_use]
    pub fn probability(self, probability: f64, seed: u64) -> Self {
        Self { probability: Some(probability), seed, ..self }
    }

    #[must_use]
    pub fn matching(self, text: impl Into<String>) -> Self {
        Self { matching: Some(text.into()), ..self }
    }

    pub fn stage(&self) -> Stage {
        self.stage.unwrap_or_else(|| self.kind.usual_stage(self.target))
    }

    fn matches(&self, texts: &[&str]) -> bool {
        let Some(wanted) = &self.matching else { return true };
        let wanted = wanted.to_lowercase();
        texts.iter().any(|text| text.to_lowercase().contains(&wanted))
    }
}

impl Standing {
    fn draw(&mut self) -> bool {
        if self.fault.times.is_some_and(|times| self.struck >= times) {
            return false;
        }
        self.seen += 1;
        if self.seen <= self.fault.skip || self.fault.probability.is_some_and(|chance| self.dice() >= chance) {
            return false;
        }
        self.struck += 1;
        true
    }

    /// `SplitMix64` of (seed, occasion) as a number from 0 up to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    fn dice(&self) -> f64 {
        let mut z = self.fault.seed.wrapping_add(self.seen.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_as_often_as_told_and_only_whom_it_matches() {
        let faults = Faults::default();
        let fault = Fault::new(Target::Smtp, FaultKind::Reject4xx).at(Stage::Rcpt).times(1).matching("ANNA");
        faults.add(fault).unwrap();
        let hit = |text: &str| faults.strike(Target::Smtp, Stage::Rcpt, &[text]).fault.is_some();
        assert!(!hit("bert@example.org"));
        assert!(hit("anna@example.org"));
        assert!(!hit("anna@example.org"), "spent");
    }

    #[test]
    fn a_seed_repeats_the_same_run_at_about_its_probability() {
        let run = |seed| {
            let faults = Faults::default();
            faults.add(Fault::new(Target::Smtp, FaultKind::Close).probability(0.3, seed)).unwrap();
            (0..1000).map(|_| faults.strike(Target::Smtp, Stage::End, &[]).fault.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let struck = run(7).into_iter().filter(|struck| *struck).count();
        assert!((250..350).contains(&struck), "{struck} of 1000");
    }

    #[test]
    fn an_impossible_order_is_refused() {
        let faults = Faults::default();
        assert!(faults.add(Fault::new(Target::Imap, FaultKind::DailyLimit)).is_err());
        assert!(faults.add(Fault::new(Target::Smtp, FaultKind::Close).at(Stage::Fetch)).is_err());
        assert!(faults.add(Fault::new(Target::Smtp, FaultKind::Close).probability(1.5, 0)).is_err());
    }
}
