//! Secrets in files: whoever can see a process's environment need not see them, and orchestrators mount them so. `NAME_FILE` names the
//! file that holds what `NAME` would.

use super::{VARIABLES, Variable};

/// The secret whose file a variable of this name (`…_FILE`, in any case) names.
pub(super) fn secret(name: &str) -> Option<&'static Variable> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_suffix("_FILE")?;
    VARIABLES.iter().find(|variable| variable.secret && variable.name == name)
}

/// What the file holds, without the line break at its end; or what is wrong with it, without its contents.
pub(super) fn read(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(format!("`{path}` is empty")) } else { Ok(text.to_owned()) }
}
