//! Reading a section: every problem is noted, none stops the reading.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use super::{Default, Settings, VARIABLES};

/// The settings of one component.
pub trait Section: Sized {
    /// Reads the section. `None` only after a problem was noted in the reader.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// Everything that is wrong with the settings of a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// One sentence per problem, each starting with the variable's name.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "setting is" } else { "settings are" };
        write!(f, "{} {noun} wrong:", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Hands out settings by name and notes what is wrong with them.
pub struct Reader<'a> {
    settings: &'a Settings,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(settings: &'a Settings, problems: Vec<String>) -> Self {
        Self { settings, problems }
    }

    pub(super) fn finish<S>(self, section: Option<S>) -> Result<S, ConfigErrors> {
        match section {
            Some(section) if self.problems.is_empty() => Ok(section),
            _ => Err(ConfigErrors(self.problems)),
        }
    }

    /// Notes a problem with a variable. The value itself is not repeated: it may be a secret.
    pub fn problem(&mut self, name: &str, text: impl fmt::Display) {
        self.problems.push(format!("{name}: {text}"));
    }

    /// Whether a problem with this variable, or with its file, was noted already.
    pub fn is_wrong(&self, name: &str) -> bool {
        let names = [format!("{name}:"), format!("{name}_FILE:"), format!("{name} and ")];
        self.problems.iter().any(|problem| names.iter().any(|name| problem.starts_with(name)))
    }

    /// The variable's text or its default; `None` if it is off, or required and missing (a problem).
    pub fn text(&mut self, name: &str) -> Option<String> {
        if let Some(problem) = self.settings.unreadable(name) {
            if !self.is_wrong(name) {
                self.problems.push(problem.to_owned());
            }
            return None;
        }
        if let Some(text) = self.settings.text(name) {
            return Some(text.to_owned());
        }
        let Some(variable) = VARIABLES.iter().find(|variable| variable.name == name) else {
            self.problem(name, "is not in the list of variables (a defect of this version)");
            return None;
        };
        match variable.default {
            Default::Is(text) => Some(text.to_owned()),
            Default::Off => None,
            Default::Required => {
                let instead = self.settings.misspelt(name).map_or(String::new(), |set| format!(", but {set} is"));
                self.problem(name, format!("is not set{instead}. {}", variable.help));
                None
            }
        }
    }

    /// The variable's text as a `T`; `expected` says what it should look like.
    pub fn parse<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        let value = text.trim().parse().ok();
        if value.is_none() {
            self.problem(name, format!("must be {expected}"));
        }
        value
    }

    /// The variable's text as a whole number within bounds.
    pub fn number<T>(&mut self, name: &str, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        let value = self.parse(name, &expected)?;
        if bounds.contains(&value) {
            return Some(value);
        }
        self.problem(name, format!("must be {expected}"));
        None
    }
}
