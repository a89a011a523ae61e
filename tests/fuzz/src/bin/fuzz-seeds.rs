//! `fuzz-seeds TARGET FOLDER`: writes a target's seeds where libFuzzer finds them.

use std::path::Path;
use std::process::ExitCode;

// What counts the coverage is in all code that `tests/fuzz/run` compiles, and so in this program, too.
#[cfg(feature = "libfuzzer")]
use libfuzzer_sys as _;
use postrider_fuzz::Target;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, folder] = arguments.as_slice() else {
        eprintln!("fuzz-seeds TARGET FOLDER");
        return ExitCode::FAILURE;
    };
    let Some(target) = Target::named(name) else {
        eprintln!("there is no target {name}");
        return ExitCode::FAILURE;
    };
    for (seed, content) in target.seeds() {
        if let Err(error) = std::fs::write(Path::new(folder).join(&seed), content) {
            eprintln!("{seed}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
