//! What a command calls: scripts have the names of their files, which their texts say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::frame;

/// Names of the scripts that were seen, by their hashes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<HashMap<Vec<u8>, String>>>);

impl Calls {
    /// The name of what a whole command calls: of the script, or its own in small letters.
    pub(super) fn name(&self, command: &[u8]) -> String {
        let arguments = frame::arguments(command, 3);
        let word = arguments.first().map(|word| String::from_utf8_lossy(word).to_lowercase()).unwrap_or_default();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (word.as_str(), arguments.get(1)) {
            ("evalsha", Some(hash)) => names.get(*hash).cloned().unwrap_or_else(|| "a script".to_owned()),
            ("eval", Some(text)) => {
                let name = named(text);
                names.insert(hash(text), name.clone());
                name
            }
            // What many processes call they load while they connect, if the server lacks it.
            ("script", Some(_)) => {
                if let Some(text) = arguments.get(2) {
                    names.insert(hash(text), named(text));
                }
                word
            }
            _ => word,
        }
    }
}

/// The second line of each script is `-- postrider NAME, protocol N`.
fn named(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let name = text.lines().nth(1).and_then(|line| line.strip_prefix("-- postrider ")?.split(',').next());
    name.unwrap_or("a script").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "to hash the text of a script as Redis does; nothing is called")]
fn hash(text: &[u8]) -> Vec<u8> {
    redis::Script::new(&String::from_utf8_lossy(text)).get_hash().as_bytes().to_vec()
}
