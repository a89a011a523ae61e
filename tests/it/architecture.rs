//! The rules that keep the tree guessable, checked instead of remembered: who may depend on whom, how long a file
//! may get, and that the README's map is the tree. Each failure is a sentence that names the culprit and the reason.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

const DOCUMENTS: &str = "postrider-documents";
const QUEUE: &str = "postrider-queue";
const SHARED: &str = "postrider-shared";
const MIGRATION: &str = "postrider-migration";
const SANDBOX: &str = "postrider-sandbox";
const TESTS: &str = "postrider-tests";

/// A crate of ours: the crates of ours it may use in its product code, and why no others.
struct Rule {
    name: &'static str,
    may_use: &'static [&'static str],
    because: &'static str,
}

const BINARY: &str = "the processes talk through Redis and the database only, so an HTTP handler cannot call a provider and any of them can be scaled, restarted or replaced alone";

const RULES: &[Rule] = &[
    Rule { name: QUEUE, may_use: &[], because: "the queue engine knows no business and could be published alone" },
    Rule {
        name: SHARED,
        may_use: &[QUEUE],
        because: "shared is what the processes agree on, so it knows none of them",
    },
    Rule { name: "postrider-api", may_use: &[SHARED, QUEUE], because: BINARY },
    Rule { name: "postrider-worker", may_use: &[SHARED, QUEUE, DOCUMENTS], because: BINARY },
    Rule {
        name: DOCUMENTS,
        may_use: &[],
        because: "it reads hostile bytes in a child process that has nothing else to lose",
    },
    Rule { name: "postrider-scheduler", may_use: &[SHARED, QUEUE], because: BINARY },
    Rule {
        name: MIGRATION,
        may_use: &[],
        because: "a migration must not change its meaning when today's code changes",
    },
    Rule {
        name: SANDBOX,
        may_use: &[],
        because: "the sandbox stands for outside services; sharing code with the product would share its mistakes",
    },
    Rule {
        name: "postrider-demo",
        may_use: &[],
        because: "the demonstration knows the product only as its clients do, over HTTP",
    },
    Rule {
        name: "postrider-fuzz",
        may_use: &[SHARED, DOCUMENTS, "postrider-api", "postrider-worker"],
        because: "it feeds the parsers themselves, millions of times; a process around them would be in the way",
    },
    Rule {
        name: TESTS,
        may_use: &[QUEUE, SHARED, MIGRATION, SANDBOX],
        because: "the tests use the processes as their users do, as programs",
    },
];

/// In their own tests all crates may also migrate a database and use the harness.
const TESTS_MAY_ALSO_USE: &[&str] = &[QUEUE, SHARED, MIGRATION, TESTS, SANDBOX];

/// Clients of outside services, and the one process that may hold them (next to the tests).
const PROVIDER_CLIENTS: &[&str] = &["async-imap", "async-openai", "lettre"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// Crates of the workspace, and whether a name is one of ours.
fn workspace() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace");
    metadata.packages
}

fn wrong_arrows(packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
            wrong.push(format!("`{name}` is a crate without a rule: say in tests/it/architecture.rs what it may use."));
            continue;
        };
        for dependency in &package.dependencies {
            let target = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development;
            if in_tests && TESTS_MAY_ALSO_USE.contains(&target) {
                continue;
            }
            if ours.contains(target) && !rule.may_use.contains(&target) {
                wrong.push(format!("`{name}` must not depend on `{target}`: {}.", rule.because));
            }
            if PROVIDER_CLIENTS.contains(&target) && !in_tests && !["postrider-worker", TESTS].contains(&name) {
                wrong.push(format!(
                    "`{name}` must not depend on `{target}`: only jobs in `postrider-worker` call outside services."
                ));
            }
        }
    }
    wrong
}

#[test]
fn dependencies_point_the_right_way() {
    let wrong = wrong_arrows(&workspace());
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_wrong_arrow_is_named() {
    let mut packages = workspace();
    let api = packages.iter_mut().find(|package| package.name == "postrider-api").expect("the api crate");
    let mut arrow = api.dependencies[0].clone();
    arrow.kind = DependencyKind::Normal;
    arrow.name = "postrider-worker".to_owned();
    api.dependencies.push(arrow);
    let wrong = wrong_arrows(&packages);
    assert!(
        wrong.iter().any(|sentence| sentence.starts_with("`postrider-api` must not depend on `postrider-worker`: ")),
        "{wrong:?}"
    );
}

/// Files under `folder` with one of the `endings`, relative to the root. Build output and hidden folders are left out.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            files(&path, endings, found);
        } else if path.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one)) {
            found.push(path);
        }
    }
}

/// Lines of a file up to its unit tests, which stand at its end.
fn lines_without_tests(text: &str) -> usize {
    let end = text.find("\n#[cfg(test)]\nmod ").map_or(text.len(), |at| at + 1);
    text[..end].lines().count()
}

/// Length of each source file without its tests; files that are tests throughout are not counted.
fn lengths() -> Vec<(String, usize)> {
    let root = root();
    let mut found = Vec::new();
    files(&root, &["rs", "lua"], &mut found);
    found
        .iter()
        .map(|path| (path.strip_prefix(&root).expect("below the root").display().to_string(), path))
        .filter(|(name, _)| !name.starts_with("tests/it/") && (name.starts_with("tests/") || !name.contains("/tests/")))
        .map(|(name, path)| (name, lines_without_tests(&std::fs::read_to_string(path).expect("UTF-8 source"))))
        .collect()
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = lengths()
        .into_iter()
        .filter(|(_, lines)| *lines > 400)
        .map(|(name, lines)| format!("{name} has {lines} lines without its tests; split it by noun at 400."))
        .collect();
    assert!(long.is_empty(), "\n{}\n", long.join("\n"));
}

#[test]
fn modules_are_named_after_their_subject() {
    let mut found = Vec::new();
    files(&root(), &["rs"], &mut found);
    let vague = [
        "mod.rs",
        "models.rs",
        "utils.rs",
        "util.rs",
        "helpers.rs",
        "common.rs",
        "services.rs",
        "manager.rs",
        "misc.rs",
    ];
    let wrong: Vec<String> = found
        .iter()
        .filter(|path| vague.iter().any(|name| path.file_name().is_some_and(|file| file == *name)))
        .map(|path| {
            format!(
                "{} says nothing about what is in it; name it after its one subject (`foo.rs` + `foo/`).",
                path.display()
            )
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_readme_map_is_the_tree() {
    let root = root();
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let map = readme
        .split("\n## ")
        .find(|section| section.starts_with("Map"))
        .expect("README.md has a section `## Map of …`");
    let named: BTreeSet<String> = map
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| `")?.split('`').next().map(|folder| folder.trim_end_matches('/').to_owned())
        })
        .collect();

    let mut expected: BTreeSet<String> = std::fs::read_dir(&root)
        .expect("the root is readable")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.is_dir())
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    for package in workspace() {
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder").as_std_path();
        expected.insert(folder.strip_prefix(&root).expect("below the root").display().to_string());
    }

    let mut wrong: Vec<String> =
        expected.difference(&named).map(|folder| format!("`{folder}` exists but is not in README's map.")).collect();
    wrong.extend(
        named
            .iter()
            .filter(|folder| !root.join(folder).is_dir())
            .map(|folder| format!("README's map names `{folder}`, which does not exist.")),
    );
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
