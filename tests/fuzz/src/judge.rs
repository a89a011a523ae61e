//! When an input is a find. A panic of ours always is. One of a library that reads documents is not: `read` catches it in the
//! child process, and the file counts as unread.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::Target;

/// What an input came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Answered,
    /// A library gave up loudly, where that is caught; its file, line and column.
    GaveUp(String),
    /// With the place and the words of the panic.
    Broken(String),
}

thread_local! {
    /// Where the panic was that is under way, and what it said.
    static LAST: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Panics are noted from here on, and told by whoever judges them.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let words = panic.payload_as_str().unwrap_or("no words").to_owned();
            LAST.with(|last| *last.borrow_mut() = Some((place, words)));
        }));
    });
}

/// Gives one input to a target. [`listen`] comes first.
pub fn try_input(target: &Target, input: &[u8]) -> Verdict {
    LAST.with(|last| last.borrow_mut().take());
    let ended = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    let panic = LAST.with(|last| last.borrow_mut().take());
    match (ended, panic) {
        (Ok(()), None) => Verdict::Answered,
        (_, Some((place, _))) if is_foreign(&place) && target.name.starts_with("document_") => Verdict::GaveUp(place),
        (_, panic) => {
            let (place, words) = panic.unwrap_or_default();
            Verdict::Broken(format!("{place}: {words}"))
        }
    }
}

/// A library's file stands in cargo's registry, the standard library's under `/rustc`; ours are named from the workspace.
fn is_foreign(place: &str) -> bool {
    place.contains("/registry/src/") || place.starts_with("/rustc/")
}
