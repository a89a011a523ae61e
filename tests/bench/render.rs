//! Sample quotes of one page in each language of India's customers, and a long one, drawn on one core.

use std::io;
use std::process::{Command, Output};
use std::time::Instant;

use postrider_tests::{Report, binaries};
use serde_json::Value;

/// English, Hindi, Kannada, Tamil and Punjabi.
const LANGUAGES: [&str; 5] = ["en", "hi", "kn", "ta", "pa"];
const WARM_UP: usize = 10;
const LONG: usize = 300;

pub fn run(times: usize, lines: usize, core: u32) -> Report {
    let mut report = Report::new("render");
    report.figure("quotes_per_language", times).figure("lines", lines);
    let (mut all, mut all_cpu) = (Vec::new(), Vec::new());
    for language in LANGUAGES {
        let Runs { clock: runs, cpu } = measured(core, language, lines, times + WARM_UP);
        report.decimal(&format!("{language}_first_ms"), runs.first().copied().unwrap_or(f64::INFINITY));
        let warm: Vec<f64> = runs.into_iter().skip(WARM_UP).collect();
        report.decimal(&format!("{language}_p50_ms"), quantile(&warm, 50));
        report.decimal(&format!("{language}_p95_ms"), quantile(&warm, 95));
        all.extend(warm);
        all_cpu.extend(cpu.into_iter().skip(WARM_UP));
    }
    let seconds: f64 = all.iter().sum::<f64>() / 1_000.0;
    let p95 = quantile(&all, 95);
    // What the quotes took of the core: without whatever else ran on it.
    report.decimal("cpu_p50_ms", quantile(&all_cpu, 50)).decimal("cpu_p95_ms", quantile(&all_cpu, 95));
    report.decimal("quotes_per_s", f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX)) / seconds);
    report.decimal("p50_ms", quantile(&all, 50));
    report.decimal("p95_ms", p95);
    report.decimal("max_ms", quantile(&all, 100));
    report.decimal("lines_300_p50_ms", quantile(&measured(core, "hi", LONG, 5).clock, 50));
    report.must("p95 of a quote of one page is at most 50 ms on one core", lines > 6 || p95 <= 50.0);
    report
}

/// Milliseconds of each run, by the clock and of the processor.
struct Runs {
    clock: Vec<f64>,
    cpu: Vec<f64>,
}

/// What runs of `postrider-proof` on this core take.
fn measured(core: u32, language: &str, lines: usize, times: usize) -> Runs {
    let started = Instant::now();
    let output = on_one_core(core, language, lines, times).expect("postrider-proof starts (taskset is of util-linux)");
    assert!(output.status.success(), "postrider-proof: {}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("postrider-proof prints JSON");
    let all = |name: &str| -> Vec<f64> {
        said[name].as_array().expect("milliseconds of each run").iter().filter_map(Value::as_f64).collect()
    };
    let runs = Runs { clock: all("milliseconds"), cpu: all("cpu_milliseconds") };
    assert!(runs.clock.len() == times && runs.clock.iter().sum::<f64>() / 1_000.0 <= started.elapsed().as_secs_f64());
    runs
}

fn on_one_core(core: u32, language: &str, lines: usize, times: usize) -> io::Result<Output> {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(binaries::program("postrider-proof"));
    command.args(["--language", language, "--lines", &lines.to_string(), "--times", &times.to_string()]).output()
}

fn quantile(milliseconds: &[f64], percent: usize) -> f64 {
    let mut sorted = milliseconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::INFINITY)
}
