//! The raw texts of all settings, from the environment and the optional file.

use std::collections::BTreeMap;

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
    value::Value,
};

use super::{ConfigErrors, Reader, Section, VARIABLES, Variable, files, misspelt};

/// What was set, by variable name.
#[derive(Clone, Default)]
pub struct Settings {
    texts: BTreeMap<&'static str, String>,
    /// Why a variable's text is not there although it was set.
    unreadable: BTreeMap<&'static str, String>,
    problems: Vec<String>,
    /// Names that are set and no setting's, and which that are not set they look like.
    misspelt: Vec<(String, String)>,
}

impl Settings {
    /// Reads the environment and the file that `POSTRIDER_CONFIG` names.
    pub fn load() -> Self {
        // As texts: figment's own reading of variables would turn a key such as `007` into the number 7.
        let environment: BTreeMap<String, String> =
            Env::raw().iter().map(|(name, text)| (name.as_str().to_ascii_lowercase(), text)).collect();
        Self::from_texts(&environment)
    }

    /// Takes the given variables instead of the environment (for tests).
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let texts = variables.into_iter().map(|(name, text)| (name.to_ascii_lowercase(), text.to_owned())).collect();
        Self::from_texts(&texts)
    }

    /// The component's own section, or everything that is wrong with it.
    pub fn read<S: Section>(&self) -> Result<S, ConfigErrors> {
        let mut reader = Reader::new(self, self.problems.clone());
        let section = S::read(&mut reader);
        reader.finish(section)
    }

    /// Says which variables nobody reads although a setting seems to be meant. To be called when there is a log.
    pub fn warn_of_misspelt(&self) {
        for (name, meant) in &self.misspelt {
            tracing::warn!("{name} is set, and is no setting of this version: is {meant} meant?");
        }
    }

    /// The name that is set where this seems to be meant.
    pub(super) fn misspelt(&self, name: &str) -> Option<&str> {
        self.misspelt.iter().find(|(_, meant)| meant == name).map(|(set, _)| set.as_str())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    pub(super) fn unreadable(&self, name: &str) -> Option<&str> {
        self.unreadable.get(name).map(String::as_str)
    }

    fn from_texts(environment: &BTreeMap<String, String>) -> Self {
        let mut settings = Self::default();
        let mut figment = Figment::new();
        let path = environment.get("postrider_config").map(|path| path.trim()).filter(|path| !path.is_empty());
        if let Some(path) = path {
            if std::path::Path::new(path).is_file() {
                figment = figment.merge(Toml::file_exact(path));
            } else {
                settings.problems.push(format!("POSTRIDER_CONFIG: there is no file `{path}`"));
            }
        }
        let known = |name: &str| VARIABLES.iter().find(|variable| variable.name.eq_ignore_ascii_case(name));
        let ours: BTreeMap<&String, &str> = environment
            .iter()
            .filter(|(name, _)| known(name).is_some() || files::secret(name).is_some())
            .map(|(name, text)| (name, tidy(known(name), text)))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        let mut named = BTreeMap::new();
        figment = figment.merge(Serialized::defaults(ours));
        match figment.extract::<BTreeMap<String, Value>>() {
            Err(errors) => {
                let file = path.unwrap_or("the settings file");
                settings.problems.extend(errors.into_iter().map(|error| format!("{file}: {error}")));
            }
            Ok(values) => {
                for (name, value) in values {
                    if let (Some(variable), Value::String(_, path)) = (files::secret(&name), &value) {
                        named.insert(variable.name, tidy(None, path).to_owned());
                        continue;
                    }
                    match (known(&name), text_of(&value)) {
                        (Some(variable), Some(text)) => match tidy(Some(variable), &text) {
                            "" => {}
                            text => drop(settings.texts.insert(variable.name, text.to_owned())),
                        },
                        (Some(variable), None) => settings
                            .problems
                            .push(format!("{}: must be a text, a number or true/false in the file", variable.name)),
                        (None, _) => settings
                            .problems
                            .push(format!("the settings file has `{name}`, which is not a setting of this version")),
                    }
                }
            }
        }
        for (name, path) in named {
            match files::read(&path) {
                _ if settings.texts.contains_key(name) => {
                    settings.unreadable.insert(name, format!("{name} and {name}_FILE are both set: which one counts?"));
                }
                Ok(text) => {
                    settings.texts.insert(name, text);
                }
                Err(problem) => {
                    settings.unreadable.insert(name, format!("{name}_FILE: {problem}"));
                }
            }
        }
        let is_set = |name: &str| settings.texts.contains_key(name) || settings.unreadable.contains_key(name);
        let others = environment.keys().filter(|name| known(name).is_none() && files::secret(name).is_none());
        settings.misspelt =
            others.filter_map(|name| Some((name.to_ascii_uppercase(), misspelt::meant_by(name, is_set)?))).collect();
        settings
    }
}

/// Without what nobody meant to say: the line break that a secret mounted as a variable or a file from Windows leaves at its end, and
/// around what is no secret blanks, too.
fn tidy<'a>(variable: Option<&Variable>, text: &'a str) -> &'a str {
    if variable.is_some_and(|variable| variable.secret) { text.trim_end_matches(['\r', '\n']) } else { text.trim() }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(_, number) => number
            .to_i128()
            .map(|whole| whole.to_string())
            .or_else(|| number.to_u128().map(|whole| whole.to_string()))
            .or_else(|| number.to_f64().map(|fraction| fraction.to_string())),
        Value::Char(..) | Value::Empty(..) | Value::Dict(..) | Value::Array(..) => None,
    }
}
