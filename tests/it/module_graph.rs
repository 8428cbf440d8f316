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

/// What follows each `prefix` of a file, such as `crate::`: one name, or those of a group.
fn used_names<'c>(code: &'c str, prefix: &str) -> BTreeSet<&'c str> {
    let mut names = BTreeSet::new();
    for rest in code.split(prefix).skip(1) {
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

/// The code of a file, without its tests and comments; `None` for a file of tests.
fn code(path: &Path) -> Option<String> {
    if path.file_stem().unwrap() == "tests" || path.components().any(|part| part.as_os_str() == "tests") {
        return None;
    }
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    Some(code.join("\n"))
}

/// The module in `folder` that a file below it belongs to, and how many modules deep the file is there.
fn module_below<'p>(folder: &Path, path: &'p Path) -> (&'p str, usize) {
    let parts: Vec<&str> =
        path.strip_prefix(folder).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
    let is_own_file = parts.last() == Some(&"mod.rs");
    (parts[0].trim_end_matches(".rs"), parts.len() - usize::from(is_own_file && parts.len() > 1))
}

/// The graph of the library's modules.
fn graph(source: &Path) -> Graph {
    let lib = fs::read_to_string(source.join("lib.rs")).unwrap();
    let exports = exports(&lib);
    let mut graph = Graph::new();
    for path in rust_files(source) {
        let (module, _) = module_below(source, &path);
        if ["lib", "main", "cli"].contains(&module) {
            continue;
        }
        let Some(code) = code(&path) else { continue };
        let used = used_names(&code, "crate::").into_iter();
        let used = used.map(|name| exports.get(name).copied().unwrap_or(name)).filter(|used| *used != module);
        graph.entry(module.to_string()).or_default().extend(used.map(String::from));
    }
    graph
}

/// The graph of the modules in one folder below `source`.
fn graph_within(source: &Path, folder: &Path) -> Graph {
    let files = rust_files(folder);
    let modules: BTreeSet<&str> = files.iter().map(|path| module_below(folder, path).0).collect();
    let names: Vec<&str> =
        folder.strip_prefix(source).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
    let from_above = format!("crate::{}::", names.join("::"));
    let mut graph = Graph::new();
    for path in &files {
        let (module, depth) = module_below(folder, path);
        let Some(code) = code(path).filter(|_| module != "mod") else { continue };
        let beside = "super::".repeat(depth);
        let used = used_names(&code, &beside).into_iter().chain(used_names(&code, &from_above));
        let used = used.filter(|used| *used != module && modules.contains(used)).map(String::from);
        graph.entry(module.to_string()).or_default().extend(used);
    }
    graph
}

/// Every folder of modules of the library.
fn folders(source: &Path) -> BTreeSet<PathBuf> {
    let files = rust_files(source);
    let folders = files.iter().map(|path| path.parent().unwrap().to_path_buf());
    folders.filter(|folder| folder != source && !folder.starts_with(source.join("cli"))).collect()
}

/// Every module that can be reached from `module`.
fn reached<'g>(graph: &'g Graph, module: &str, found: &mut BTreeSet<&'g str>) {
    for next in graph.get(module).into_iter().flatten() {
        if found.insert(next) {
            reached(graph, next, found);
        }
    }
}

/// The modules that use themselves through others.
fn in_circles(graph: &Graph) -> Vec<&str> {
    let is_in_circle = |module: &&String| {
        let mut found = BTreeSet::new();
        reached(graph, module, &mut found);
        found.contains(module.as_str())
    };
    graph.keys().filter(is_in_circle).map(String::as_str).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Prints the graph, with `--nocapture`, and finds no circle in it.
#[test]
#[expect(clippy::print_stdout, reason = "the graph is for whoever asks for it")]
fn no_module_depends_on_itself_through_others() {
    let graph = graph(&source());
    for (module, used) in &graph {
        println!("{module} -> {}", used.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    }
    assert!(graph.len() > 15 && graph["encoder"].contains("spec"), "{graph:?}");
    assert_eq!(in_circles(&graph), [""; 0]);
}

/// The same for the modules in each folder.
#[test]
#[expect(clippy::print_stdout, reason = "the graph is for whoever asks for it")]
fn no_module_of_a_folder_depends_on_itself_through_others() {
    let source = source();
    let mut num_edges = 0;
    for folder in folders(&source) {
        let graph = graph_within(&source, &folder);
        let name = folder.strip_prefix(&source).unwrap().display();
        for (module, used) in &graph {
            num_edges += used.len();
            println!(
                "{name}: {module} -> {}",
                used.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            );
        }
        assert_eq!(in_circles(&graph), [""; 0], "{name}");
    }
    assert!(num_edges > 100, "{num_edges}");
}

#[test]
fn what_a_file_uses_is_found_in_each_form_of_its_imports() {
    let code = "use crate::error::Error;\nuse crate::{known, spec::ModelSpec};\ncrate::sha256(x);\nuse super::keys::Key;";
    assert_eq!(used_names(code, "crate::"), BTreeSet::from(["error", "known", "spec", "sha256"]));
    assert_eq!(used_names(code, "super::"), BTreeSet::from(["keys"]));
    assert_eq!(exports("pub use source::{sha256, ModelFiles};")["sha256"], "source");
    let below = |path: &str| module_below(Path::new("src/spec"), Path::new(path)).1;
    assert_eq!(["src/spec/a.rs", "src/spec/a/mod.rs", "src/spec/a/b.rs"].map(below), [1, 1, 2]);
}

#[test]
fn a_circle_is_found() {
    let edge = |module: &str, used: &str| (module.to_string(), BTreeSet::from([used.to_string()]));
    let graph = Graph::from([edge("a", "b"), edge("b", "c"), edge("c", "b")]);
    assert_eq!(in_circles(&graph), ["b", "c"]);
}

/// Only the command line knows how arguments are parsed.
#[test]
fn clap_is_used_by_the_command_line_alone() {
    let source = source();
    let mut has_command_line = false;
    for path in rust_files(&source) {
        let knows_clap = code(&path).is_some_and(|code| words(&code).any(|word| word == "clap"));
        has_command_line |= knows_clap;
        assert!(!knows_clap || path.starts_with(source.join("cli")), "{}", path.display());
    }
    assert!(has_command_line);
}

/// Modules of the command line that are subcommands, by the arms of its `match` on the command.
fn subcommands(cli: &str) -> BTreeSet<&str> {
    let arms = cli
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Command::")?.split_once("=> "))
        .map(|arm| arm.1);
    arms.filter_map(|call| call.split_once("::run(")).map(|(module, _)| module).collect()
}

/// Each subcommand stands on the library and on what all of them share, never on another subcommand.
#[test]
fn no_subcommand_uses_another() {
    let folder = source().join("cli");
    let cli = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let subcommands = subcommands(&cli);
    assert!(subcommands.len() == 10 && subcommands.contains("encode"), "{subcommands:?}");
    for path in rust_files(&folder) {
        let (module, depth) = module_below(&folder, &path);
        let Some(code) = code(&path).filter(|_| module != "mod") else { continue };
        let used = used_names(&code, &"super::".repeat(depth));
        let used: Vec<&str> = used.union(&used_names(&code, "crate::cli::")).copied().collect();
        let others: Vec<&&str> =
            used.iter().filter(|used| subcommands.contains(**used) && **used != module).collect();
        assert!(others.is_empty(), "{} uses {others:?}", path.display());
    }
}
