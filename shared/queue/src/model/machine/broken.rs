//! Rules that twins break.

/// A rule that a twin breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::model) enum Broken {
    /// All rules stand.
    Nothing,
    /// Neither the session nor the epoch guards a completion.
    StaleAccepted,
    /// A repeated turn is carried out again.
    RepeatForgotten,
    /// A turn that comes late, after one with a higher number, is carried out.
    LateTurnAccepted,
    /// Follow-up jobs are made before the outcome is judged.
    FollowUpsFirst,
    /// The unit of a crashed, cancelled run is given back.
    CrashFreesUnit,
    /// The unit of a cancelled run that a stopping worker cut off is given back.
    StopFreesUnit,
    /// A redelivery reserves once more.
    RedeliveryReserves,
    /// An outage gives nobody grace.
    NoGrace,
    /// What a dead session held is forgotten.
    RescueForgets,
    /// A crash costs its jobs an attempt.
    CrashBurnsAttempt,
    /// A session that was only taken for dead leaves its jobs charged with a crash.
    ChargeStays,
    /// The worker counts its lease from the answer, not from the call.
    LeaseFromAnswer,
    /// The handler begins to send without looking at its lease.
    SendsWithoutLease,
}
