//! The library's modules depend on each other in one direction.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules that each module uses, tests and comments left out.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// The words of a text that can be names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
}

/// The module behind each name that lib.rs exports.
fn exports(lib: &str) -> BTreeMap<&str, &str> {
    let mut exports = BTreeMap::new();
    for statement in lib.split(';').filter_map(|statement| Some(statement.split_once("pub use ")?.1)) {
        let module = words(statement).next().unwrap();
        exports.extend(words(statement).skip(1).map(|name| (name, module)));
    }
    exports
}

/// What follows each `crate::` of a file: one name, or those of a group.
fn used_names(code: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => names.extend(words(rest).next()),
            Some(group) => {
                let group = group.split(';').next().unwrap();
                names.extend(group.split(',').filter_map(|item| words(item).next()));
            }
        }
    }
    names
}

fn graph() -> Graph {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
    let exports = exports(&lib);
    let mut graph = Graph::new();
    for path in rust_files(&source) {
        let first = path.strip_prefix(&source).unwrap().components().next().unwrap();
        let module = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_string();
        let is_test =
            path.file_stem().unwrap() == "tests" || path.components().any(|part| part.as_os_str() == "tests");
        if ["lib", "main", "cli"].contains(&module.as_str()) || is_test {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        let used = used_names(&code).into_iter().map(|name| exports.get(name).copied().unwrap_or(name));
        let used = used.filter(|used| *used != module).map(String::from);
        graph.entry(module.clone()).or_default().extend(used);
    }
    graph
}

/// Every module that can be reached from `module`.
fn reached<'g>(graph: &'g Graph, module: &str, found: &mut BTreeSet<&'g str>) {
    for next in graph.get(module).into_iter().flatten() {
        if found.insert(next) {
            reached(graph, next, found);
        }
    }
}

/// Prints the graph, with `--nocapture`, and finds no circle in it.
#[test]
#[expect(clippy::print_stdout, reason = "the graph is for whoever asks for it")]
fn no_module_depends_on_itself_through_others() {
    let graph = graph();
    for (module, used) in &graph {
        println!("{module} -> {}", used.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    }
    assert!(graph.len() > 15 && graph["encoder"].contains("spec"), "{graph:?}");
    let in_circle = graph.keys().filter(|module| {
        let mut found = BTreeSet::new();
        reached(&graph, module, &mut found);
        found.contains(module.as_str())
    });
    let in_circle: Vec<&String> = in_circle.collect();
    assert!(in_circle.is_empty(), "circles through {in_circle:?}");
}

#[test]
fn what_a_file_uses_is_found_in_each_form_of_its_imports() {
    let names =
        used_names("use crate::error::Error;\nuse crate::{known, spec::ModelSpec};\ncrate::sha256(x);");
    assert_eq!(names, BTreeSet::from(["error", "known", "spec", "sha256"]));
    assert_eq!(exports("pub use source::{sha256, ModelFiles};")["sha256"], "source");
}
