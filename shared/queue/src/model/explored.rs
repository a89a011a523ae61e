//! Explores worlds: the sound one holds every property, each twin breaks the one it was made for.

use stateright::{Checker, Model};

use super::{
    machine::Broken,
    properties::{ATTEMPTS, CAP, CHARGES, ENDS_ONCE, FOLLOW_UPS, IN_TIME, NOT_LOST, ONE_LEASE, OWN_COMPLETION, UNITS},
    world::{Faults, World},
};

/// Long enough for a session to expire, be taken for dead, and its job to run again and expire again.
const TIME: u8 = 6;

const CALM: Faults =
    Faults { crashes: 0, freezes: 0, stops: 0, lost_answers: 0, late_turns: 0, outages: 0, cancels: 0, retries: 0 };

/// A kind of fault, and how one more of it is allowed.
type Kind = (&'static str, fn(&mut Faults));

const KINDS: [Kind; 8] = [
    ("crash", |faults| faults.crashes += 1),
    ("freeze", |faults| faults.freezes += 1),
    ("stop", |faults| faults.stops += 1),
    ("lost answer", |faults| faults.lost_answers += 1),
    ("late turn", |faults| faults.late_turns += 1),
    ("outage", |faults| faults.outages += 1),
    ("cancel", |faults| faults.cancels += 1),
    ("retry", |faults| faults.retries += 1),
];

/// Two workers, two jobs.
fn world(limit: u8, faults: Faults, broken: Broken) -> World {
    World { workers: 2, jobs: 2, limit, time: TIME, faults, broken }
}

/// States seen, and properties violated.
fn explore(world: World) -> (usize, Vec<&'static str>) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = world.checker().threads(threads).spawn_bfs().join();
    let mut violated: Vec<_> = checker.discoveries().into_keys().collect();
    violated.sort_unstable();
    (checker.unique_state_count(), violated)
}

#[test]
fn every_property_holds_under_each_pair_of_faults() {
    for (place, (first, add)) in KINDS.iter().enumerate() {
        for (second, add_second) in &KINDS[place..] {
            let mut faults = CALM;
            add(&mut faults);
            add_second(&mut faults);
            let (states, violated) = explore(world(1, faults, Broken::Nothing));
            println!("{first} and {second}: {states} states");
            assert!(violated.is_empty(), "{first} and {second}: {violated:?} do not hold");
        }
    }
}

/// Both jobs may run at once.
#[test]
fn every_property_holds_with_room_for_both_jobs() {
    for (name, add) in KINDS {
        let mut faults = CALM;
        add(&mut faults);
        let (states, violated) = explore(world(2, faults, Broken::Nothing));
        println!("{name}: {states} states");
        assert!(violated.is_empty(), "{name}: {violated:?} do not hold");
    }
}

#[test]
fn each_property_fails_in_the_twin_that_breaks_its_rule() {
    let twins = [
        (Broken::StaleAccepted, ENDS_ONCE, Faults { freezes: 1, ..CALM }),
        (Broken::FollowUpsFirst, FOLLOW_UPS, Faults { freezes: 1, ..CALM }),
        (Broken::RepeatForgotten, OWN_COMPLETION, Faults { lost_answers: 1, ..CALM }),
        (Broken::RepeatForgotten, NOT_LOST, Faults { lost_answers: 1, ..CALM }),
        (Broken::LateTurnAccepted, NOT_LOST, Faults { late_turns: 1, retries: 1, ..CALM }),
        (Broken::CrashFreesUnit, CAP, Faults { crashes: 1, cancels: 1, ..CALM }),
        (Broken::StopFreesUnit, CAP, Faults { stops: 1, cancels: 1, ..CALM }),
        (Broken::RedeliveryReserves, UNITS, Faults { crashes: 1, ..CALM }),
        (Broken::NoGrace, IN_TIME, Faults { outages: 1, ..CALM }),
        (Broken::RescueForgets, NOT_LOST, Faults { crashes: 1, ..CALM }),
        (Broken::CrashBurnsAttempt, ATTEMPTS, Faults { crashes: 1, ..CALM }),
        (Broken::ChargeStays, CHARGES, Faults { freezes: 1, ..CALM }),
        (Broken::LeaseFromAnswer, ONE_LEASE, Faults { freezes: 1, ..CALM }),
        (Broken::SendsWithoutLease, CAP, Faults { freezes: 1, retries: 1, ..CALM }),
    ];
    let mut unnoticed = Vec::new();
    for (broken, property, faults) in twins {
        let found = [1, 2].iter().any(|limit| explore(world(*limit, faults, broken)).1.contains(&property));
        if !found {
            unnoticed.push((broken, property));
        }
    }
    assert!(unnoticed.is_empty(), "unnoticed: {unnoticed:?}");
}
