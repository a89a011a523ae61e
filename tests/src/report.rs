//! What a benchmark or a drill found: named figures, and whether its property held.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

/// Figures in the order in which they were found.
#[derive(Debug, Clone)]
pub struct Report {
    scenario: String,
    figures: Vec<(String, Value)>,
    broken: Vec<String>,
}

impl Report {
    pub fn new(scenario: &str) -> Self {
        Self { scenario: scenario.to_owned(), figures: Vec::new(), broken: Vec::new() }
    }

    /// Adds a figure; units stand in its name, such as `recovery_s`.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.figures.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a figure rounded to two decimals.
    pub fn decimal(&mut self, name: &str, value: f64) -> &mut Self {
        self.figure(name, (value * 100.0).round() / 100.0)
    }

    /// States a property; the run fails if it does not hold.
    pub fn must(&mut self, property: &str, holds: bool) -> &mut Self {
        if !holds {
            self.broken.push(property.to_owned());
        }
        self
    }

    pub fn held(&self) -> bool {
        self.broken.is_empty()
    }

    /// As one JSON object, `{"scenario", "held", "broken", ...figures}`.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("scenario".to_owned(), json!(self.scenario));
        object.insert("held".to_owned(), json!(self.held()));
        object.insert("broken".to_owned(), json!(self.broken));
        object.extend(self.figures.iter().cloned());
        Value::Object(object)
    }

    /// As lines for people.
    pub fn text(&self) -> String {
        let width = self.figures.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let mut text = format!("{}\n", self.scenario);
        for (name, value) in &self.figures {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = writeln!(text, "  {name:<width$}  {value}");
        }
        for property in &self.broken {
            let _ = writeln!(text, "  BROKEN: {property}");
        }
        text += if self.held() { "  held\n" } else { "  did not hold\n" };
        text
    }

    /// Prints it and turns it into the exit status: 0 only if every property held.
    pub fn conclude(&self, as_json: bool) -> ExitCode {
        let text = if as_json { format!("{}\n", self.json()) } else { self.text() };
        let written = io::stdout().lock().write_all(text.as_bytes());
        if self.held() && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
