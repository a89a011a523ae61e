//! What a person sees: plain words, colour only on a terminal.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    colour: bool,
}

impl Console {
    pub fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the terminal's convention, not a setting of ours: https://no-color.org"
        )]
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: io::stdout().is_terminal() && !plain }
    }

    pub fn title(self, text: &str) {
        self.line(&format!("\n{}\n", self.paint("1", text)));
    }

    pub fn ok(self, text: &str) {
        self.line(&format!("  {} {text}", self.paint("32", "✓")));
    }

    pub fn note(self, text: &str) {
        self.line(&format!("    {}", self.paint("2", text)));
    }

    pub fn wrong(self, text: &str) {
        self.line(&format!("  {}", self.paint("31", &format!("✗ {text}"))));
    }

    /// One event of the story: when, which job, what.
    pub fn event(self, seconds: f64, job: &str, what: &str) {
        let time = self.paint("2", &format!("{seconds:6.2} s"));
        self.line(&format!("  {time}  {}  {what}", self.paint("36", job)));
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    #[expect(clippy::unused_self, reason = "one way to say all lines")]
    /// A closed pipe (`deploy/up | head`) is no reason to fail.
    pub fn line(self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
