//! Random steps.

use std::fmt;

use proptest::{
    collection, option,
    prelude::{Just, Strategy, any},
    prop_oneof,
};

/// Steps in turn; they print one to a line.
#[derive(Clone)]
pub(super) struct Steps(pub(super) Vec<Step>);

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(place, step)| writeln!(f, "{place:4}  {step:?}"))
    }
}

/// One of a list, by its place modulo its length.
pub(super) type Pick = u8;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Enqueue {
        lane: Pick,
        delay: Delay,
        max_attempts: u8,
        kept: Kept,
        key: Option<Key>,
    },
    /// The same enqueue once more, as after a lost answer.
    EnqueueAgain(Pick),
    /// In the place of a dead job.
    Redrive(Pick),
    /// Opens a session or keeps it alive.
    Beat(Pick),
    /// A heartbeat of a session that was given up arrives late.
    LateBeat(Pick),
    Turn {
        worker: Pick,
        endings: Vec<Ending>,
        want: u8,
        delivery: Delivery,
    },
    Suspect {
        worker: Pick,
        delivery: Delivery,
    },
    /// A turn, or a request for a suspect, of old arrives late or once more.
    LateCall {
        pick: Pick,
        suspect: bool,
    },
    /// The handlers of all it holds begin.
    Begin(Pick),
    /// The process is gone.
    Crash(Pick),
    /// It claims, its handlers perhaps begin, it is gone, and in time it is taken for dead; the others live on.
    Die {
        worker: Pick,
        want: u8,
        begun: bool,
    },
    /// A graceful end.
    Close(Pick),
    /// So many seconds, each with a step of maintenance; the workers' hearts beat or stand still.
    Pass {
        seconds: u8,
        beating: bool,
    },
    /// So many seconds without anybody, then a step of maintenance.
    Outage(u8),
    Cancel(Pick),
    Promote(Pick),
    PauseLane(Pick, bool),
    CancelLane(Pick),
    PauseScope(Pick, bool),
    PauseQueue(bool),
    /// Jobs in flight that a scope allows.
    Flights(Pick, u8),
    /// Units that a scope gives.
    Cap(Pick, u8),
    /// The rows of so many dead letters are written.
    Archive(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delay {
    None,
    Seconds(u8),
    /// Longer than any case.
    Long,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    Short,
    Long,
}

/// Unique keys; each is always held in the same way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    Active,
    Waiting,
    Replace,
    Period,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) whose: Whose,
    pub(super) run: Pick,
    pub(super) how: How,
    pub(super) unit: Unit,
    pub(super) delay: Delay,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    /// A run that the worker holds.
    Own,
    /// A run that came before the one that it holds.
    Earlier,
    /// The last run of any job.
    Any,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    Done,
    DoneThen,
    Retry,
    Snooze,
    Fail,
    Stop,
    Release,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    Default,
    NotUsed,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Answered,
    /// It is carried out, its answer is lost, and the worker will repeat it.
    Unheard,
    /// It stays on its way; the worker will repeat it, and some time it may arrive.
    Held,
}

fn delay() -> impl Strategy<Value = Delay> {
    prop_oneof![6 => Just(Delay::None), 3 => (1_u8..6).prop_map(Delay::Seconds), 1 => Just(Delay::Long)]
}

fn ending() -> impl Strategy<Value = Ending> {
    let how = prop_oneof![
        4 => Just(How::Done), 1 => Just(How::DoneThen), 5 => Just(How::Retry), 2 => Just(How::Snooze),
        2 => Just(How::Fail), 1 => Just(How::Stop), 2 => Just(How::Release),
    ];
    let unit = prop_oneof![4 => Just(Unit::Default), 1 => Just(Unit::NotUsed), 1 => Just(Unit::Unknown)];
    let whose = prop_oneof![12 => Just(Whose::Own), 1 => Just(Whose::Earlier), 1 => Just(Whose::Any)];
    (whose, any::<Pick>(), how, unit, delay()).prop_map(|(whose, run, how, unit, delay)| Ending {
        whose,
        run,
        how,
        unit,
        delay,
    })
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![7 => Just(Delivery::Answered), 2 => Just(Delivery::Unheard), 1 => Just(Delivery::Held)]
}

fn step() -> impl Strategy<Value = Step> {
    let worker = || 0_u8..3;
    let turn = (worker(), collection::vec(ending(), 0..3), 0_u8..4, delivery());
    let work = prop_oneof![
        20 => enqueue(0.4, delay()),
        2 => any::<Pick>().prop_map(Step::EnqueueAgain),
        1 => any::<Pick>().prop_map(Step::Redrive),
        8 => worker().prop_map(Step::Beat),
        30 => turn.prop_map(|(worker, endings, want, delivery)| Step::Turn { worker, endings, want, delivery }),
        6 => (worker(), delivery()).prop_map(|(worker, delivery)| Step::Suspect { worker, delivery }),
        4 => worker().prop_map(Step::Begin),
        10 => (1_u8..4, prop_oneof![2 => Just(true), 1 => Just(false)]).prop_map(|(seconds, beating)| Step::Pass { seconds, beating }),
    ];
    let fault = prop_oneof![
        2 => any::<Pick>().prop_map(Step::LateBeat),
        4 => (any::<Pick>(), any::<bool>()).prop_map(|(pick, suspect)| Step::LateCall { pick, suspect }),
        2 => worker().prop_map(Step::Crash),
        8 => (worker(), 0_u8..3, any::<bool>()).prop_map(|(worker, want, begun)| Step::Die { worker, want, begun }),
        2 => worker().prop_map(Step::Close),
        1 => (3_u8..9).prop_map(Step::Outage),
    ];
    let control = prop_oneof![
        4 => any::<Pick>().prop_map(Step::Cancel),
        3 => any::<Pick>().prop_map(Step::Promote),
        3 => (any::<Pick>(), any::<bool>()).prop_map(|(lane, paused)| Step::PauseLane(lane, paused)),
        1 => any::<Pick>().prop_map(Step::CancelLane),
        2 => (any::<Pick>(), any::<bool>()).prop_map(|(scope, paused)| Step::PauseScope(scope, paused)),
        1 => any::<bool>().prop_map(Step::PauseQueue),
        1 => (any::<Pick>(), 1_u8..4).prop_map(|(scope, jobs)| Step::Flights(scope, jobs)),
        2 => (any::<Pick>(), 0_u8..6).prop_map(|(scope, units)| Step::Cap(scope, units)),
        2 => (1_u8..4).prop_map(Step::Archive),
    ];
    prop_oneof![16 => work, 4 => fault, 4 => control]
}

fn enqueue(keyed: f64, delay: impl Strategy<Value = Delay>) -> impl Strategy<Value = Step> {
    let key =
        prop_oneof![1 => Just(Key::Active), 1 => Just(Key::Waiting), 3 => Just(Key::Replace), 1 => Just(Key::Period)];
    let kept = prop_oneof![Just(Kept::Short), Just(Kept::Long)];
    (any::<Pick>(), delay, 1_u8..4, kept, option::weighted(keyed, key))
        .prop_map(|(lane, delay, max_attempts, kept, key)| Step::Enqueue { lane, delay, max_attempts, kept, key })
}

/// Processes die again and again, so that jobs become suspects.
fn step_of_trouble() -> impl Strategy<Value = Step> {
    let die = (0_u8..3, 1_u8..3).prop_map(|(worker, want)| Step::Die { worker, want, begun: true });
    let suspect = (0_u8..3, delivery()).prop_map(|(worker, delivery)| Step::Suspect { worker, delivery });
    let late = any::<Pick>().prop_map(|pick| Step::LateCall { pick, suspect: true });
    prop_oneof![
        6 => step(), 4 => enqueue(0.02, delay()), 5 => die, 4 => suspect, 2 => late, 1 => any::<Pick>().prop_map(Step::CancelLane),
    ]
}

/// Jobs that keep one another out, or take one another's place.
fn step_of_keys() -> impl Strategy<Value = Step> {
    let pass = (1_u8..4).prop_map(|seconds| Step::Pass { seconds, beating: true });
    let delays = prop_oneof![1 => Just(Delay::None), 2 => (1_u8..4).prop_map(Delay::Seconds), 1 => Just(Delay::Long)];
    prop_oneof![4 => step(), 6 => enqueue(0.95, delays), 3 => pass]
}

pub(super) fn any_steps() -> impl Strategy<Value = Steps> {
    prop_oneof![
        2 => collection::vec(step(), 1..80),
        1 => collection::vec(step_of_trouble(), 1..50),
        1 => collection::vec(step_of_keys(), 1..60),
    ]
    .prop_map(Steps)
}
