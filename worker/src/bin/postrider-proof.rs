//! `postrider-proof`: sample quotes in the languages we write, to look at or to time. Needs no server and no settings.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use postrider_shared::language::Language;
use postrider_worker::render::{pdf, sample};
use serde_json::json;

/// Renders sample quotes, one PDF per language.
#[derive(Debug, Parser)]
#[command(name = "postrider-proof", version)]
struct Arguments {
    /// Folder that gets `quote-LANGUAGE.pdf`.
    #[arg(long, required_unless_present = "times")]
    to: Option<PathBuf>,
    /// Such as `hi`; all languages if absent.
    #[arg(long, value_parser = language)]
    language: Option<Language>,
    /// Lines of each quote.
    #[arg(long, default_value_t = 5)]
    lines: usize,
    /// Renders each that often, every time another quote, and prints the milliseconds of each run, and what they took of the
    /// processor, as JSON.
    #[arg(long)]
    times: Option<usize>,
}

fn language(tag: &str) -> Result<Language, String> {
    Language::known(tag).ok_or_else(|| "quotes are not written in this language".to_owned())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postrider-proof: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    for language in Language::ALL.into_iter().filter(|known| arguments.language.is_none_or(|only| only == *known)) {
        if let Some(times) = arguments.times {
            let mut milliseconds = Vec::with_capacity(times);
            let mut cpu_milliseconds = Vec::with_capacity(times);
            for time in 0..times {
                let mut quote = sample(language, arguments.lines);
                quote.number = format!("Q-{time:05}");
                quote.customer.address = format!("customer-{time}@shop.example");
                let (start, cpu) = (Instant::now(), cpu_milliseconds_of_process());
                pdf(&quote)?;
                milliseconds.push(start.elapsed().as_secs_f64() * 1_000.0);
                cpu_milliseconds.push(cpu_milliseconds_of_process() - cpu);
            }
            writeln!(
                out,
                "{}",
                json!({ "language": language.tag(), "milliseconds": milliseconds, "cpu_milliseconds": cpu_milliseconds })
            )?;
        }
        if let Some(folder) = &arguments.to {
            writeln!(out, "{}", write(folder, language, arguments.lines)?.display())?;
        }
    }
    Ok(())
}

/// What all threads took of a processor so far, as Linux counts; on a machine that others use as well it says more than a clock.
/// Zero where it is not told.
fn cpu_milliseconds_of_process() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanoseconds = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1_000_000.0
}

fn write(folder: &Path, language: Language, lines: usize) -> Result<PathBuf, Box<dyn std::error::Error>> {
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("quote-{}.pdf", language.tag()));
    fs::write(&file, pdf(&sample(language, lines))?)?;
    Ok(file)
}
