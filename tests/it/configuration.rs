//! `deploy/env.example` is the list of variables in the code, no more and no less.

use std::{fmt::Write, path::Path};

use postrider_shared::config::{Default, VARIABLES};

const HEAD: &str = "\
# Every setting of Postrider. A line that is commented out shows the default, or says that the feature is off without it.
# The same names in lower case may stand in a TOML file named by POSTRIDER_CONFIG; these variables win over it.
";

/// The file as the list of variables wants it.
fn expected() -> String {
    let mut text = HEAD.to_owned();
    for variable in VARIABLES.iter() {
        let readers = variable.used_by.join(", ");
        write!(text, "\n# {}\n# Read by: {readers}.", variable.help).expect("a String takes everything");
        match variable.default {
            Default::Required => write!(text, " Required.\n{}=\n", variable.name),
            Default::Is(default) => write!(text, "\n#{}={default}\n", variable.name),
            Default::Off => write!(text, " Off if not set.\n#{}=\n", variable.name),
        }
        .expect("a String takes everything");
        if variable.secret {
            write!(text, "# Or the path of a file that holds it:\n#{}_FILE=\n", variable.name)
                .expect("a String takes everything");
        }
    }
    text
}

#[test]
fn the_example_lists_every_variable_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/env.example");
    let found = std::fs::read_to_string(&path).expect("deploy/env.example");
    let expected = expected();
    assert!(
        found == expected,
        "deploy/env.example is not the list in shared/src/config/variables.rs. It should be:\n\n{expected}"
    );
}
