//! What a process takes of the machine.

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many file handles as the system lets this process and its children have.
pub fn raise_handles() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("raise the limit of file handles");
}

/// Memory in MiB.
pub fn resident_mib(pid: u32) -> f64 {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().expect("a number") / 1024.0
}

/// Processor time in seconds, of all threads.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = read(pid, "stat");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = [11, 12].map(|place: usize| fields[place].parse::<f64>().expect("ticks")).iter().sum();
    ticks / 100.0
}

/// Processor time of the thread that calls, in seconds.
pub fn thread_cpu_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel tells of threads");
    let nanoseconds: f64 = told.split(' ').next().and_then(|text| text.parse().ok()).expect("a number");
    nanoseconds / 1e9
}

fn read(pid: u32, name: &str) -> String {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(name)).expect("the process runs")
}
