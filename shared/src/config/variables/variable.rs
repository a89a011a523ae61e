/// What holds when a variable is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// The process does not start without it.
    Required,
    /// This text.
    Is(&'static str),
    /// The feature stays off.
    Off,
}

/// One environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    pub default: Default,
    /// The processes that read it.
    pub used_by: &'static [&'static str],
    /// One or two sentences for the operator.
    pub help: &'static str,
    /// Whether it may stand in a file of its own, which `NAME_FILE` names.
    pub secret: bool,
}

pub(super) const fn variable(
    name: &'static str,
    default: Default,
    used_by: &'static [&'static str],
    help: &'static str,
) -> Variable {
    Variable { name, default, used_by, help, secret: false }
}

pub(super) const fn secret(
    name: &'static str,
    default: Default,
    used_by: &'static [&'static str],
    help: &'static str,
) -> Variable {
    Variable { secret: true, ..variable(name, default, used_by, help) }
}
