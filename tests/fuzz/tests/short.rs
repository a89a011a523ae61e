//! The short run: each target with its seeds and a fixed number of broken ones.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cargo_metadata::{MetadataCommand, TargetKind};
use postrider_fuzz::{Mutator, TARGETS, Target, Verdict, listen, try_input};

/// One input that takes longer than this, unoptimised and on a busy machine, is an attack that works.
const ONE: Duration = Duration::from_secs(10);
/// Of so many broken inputs of a target the place and the words are told.
const TOLD: usize = 10;
/// More than this would be a corpus for libFuzzer, which finds it by itself.
const SEED_BYTES: usize = 512 * 1024;

#[test]
fn every_parser_answers_every_input() {
    listen();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let ended = short_run(target);
            eprint!("{}", ended.0);
            found.push(ended);
        }
        found
    };
    let lines: Vec<(String, Vec<String>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let broken: Vec<&String> = lines.iter().flat_map(|(_, broken)| broken).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A line for people, and what was wrong.
fn short_run(target: &Target) -> (String, Vec<String>) {
    let seeds = target.seeds();
    let (begun, mut gave_up, mut broken) = (Instant::now(), BTreeSet::new(), Vec::new());
    let mut mutator = Mutator::new(1);
    let mutated = (0..target.short).map(|at| {
        let (name, seed) = &seeds[at % seeds.len()];
        (format!("{name}, mutation {at}"), mutator.broken(seed))
    });
    let mut inputs = 0;
    for (name, input) in seeds.clone().into_iter().chain(mutated) {
        let since = Instant::now();
        match try_input(target, &input) {
            Verdict::Answered => {}
            Verdict::GaveUp(place) => {
                gave_up.insert(place.rsplit("/src/").next().unwrap_or_default().to_owned());
            }
            Verdict::Broken(why) => broken.push(format!("{}: {name}: {why}", target.name)),
        }
        if since.elapsed() > ONE {
            broken.push(format!("{}: {name} took {:?}", target.name, since.elapsed()));
        }
        inputs += 1;
    }
    let mut line = String::new();
    let _ = writeln!(line, "{:20} {inputs:>5} inputs in {:>6.2?}", target.name, begun.elapsed());
    for place in gave_up {
        let _ = writeln!(line, "{:20} caught at {place}", "");
    }
    // Told here, because panics are no longer told once they are listened for.
    for why in broken.iter().take(TOLD) {
        let _ = writeln!(line, "{why}");
    }
    (line, broken)
}

#[test]
fn every_target_has_seeds_and_none_is_large() {
    for target in TARGETS {
        let seeds = target.seeds();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for (name, content) in seeds {
            assert!(content.len() <= SEED_BYTES, "{}: {name} has {} bytes", target.name, content.len());
        }
    }
}

#[test]
fn every_target_has_its_program_and_every_program_its_target() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();
    let package = metadata.packages.iter().find(|package| package.name == "postrider-fuzz").unwrap();
    let programs = package.targets.iter().filter(|target| {
        target.kind.contains(&TargetKind::Bin) && target.required_features.iter().any(|name| name == "libfuzzer")
    });
    let programs: BTreeSet<&str> = programs.map(|target| target.name.as_str()).collect();
    assert_eq!(programs, TARGETS.iter().map(|target| target.name).collect());
    for name in programs {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz_targets/{name}.rs"));
        let text = std::fs::read_to_string(source).unwrap();
        assert!(text.contains(&format!("postrider_fuzz::program!(\"{name}\");")), "{name}:\n{text}");
    }
}
