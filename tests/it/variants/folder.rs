//! Makes one folder of a kind: a copy of its base, edited.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::tensors::{edit_tensors, Step};

/// One edit, in the words of kinds.json.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Edit {
    /// Values of a JSON file by JSON pointer; a last step `-` appends to an array.
    Set {
        set: String,
        values: Map<String, Value>,
    },
    Unset {
        unset: String,
        keys: Vec<String>,
    },
    Write {
        write: String,
        text: String,
    },
    Delete {
        delete: String,
    },
    Move {
        r#move: String,
        to: String,
    },
    Copy {
        copy: String,
        to: String,
    },
    /// A file of `tests/variants/files`.
    Stored {
        stored: String,
        to: String,
    },
    Replace {
        replace: String,
        from: String,
        to: String,
    },
    /// A symbolic link.
    Link {
        link: String,
        to: String,
    },
    /// vocab.json and merges.txt from a tokenizer.json.
    VocabAndMerges {
        vocab_and_merges: String,
    },
    Tensors {
        tensors: String,
        r#do: Vec<Step>,
    },
}

/// Copies `base` without the files that `without` names to `folder`, and edits the copy.
pub(super) fn make_folder(home: &Path, base: &Path, without: &[String], edits: &[Edit], folder: &Path) {
    copy_folder(base, without, "", folder);
    for edit in edits {
        apply(home, folder, edit);
    }
}

fn copy_folder(from: &Path, without: &[String], below: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let own = entry.file_name().into_string().unwrap();
        let name = if below.is_empty() { own.clone() } else { format!("{below}/{own}") };
        // The golden vectors of the fixtures are no part of a model.
        if without.contains(&name) || name.ends_with(".jsonl") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), without, &name, &to.join(own));
        } else {
            fs::copy(entry.path(), to.join(own)).unwrap();
        }
    }
}

fn apply(home: &Path, folder: &Path, edit: &Edit) {
    let path = |name: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    match edit {
        Edit::Set { set, values } => set_values(&path(set), values),
        Edit::Unset { unset, keys } => unset_values(&path(unset), keys),
        Edit::Write { write, text } => fs::write(path(write), text).unwrap(),
        Edit::Delete { delete } if path(delete).is_dir() => fs::remove_dir_all(path(delete)).unwrap(),
        Edit::Delete { delete } => fs::remove_file(path(delete)).unwrap(),
        Edit::Move { r#move, to } => fs::rename(path(r#move), path(to)).unwrap(),
        Edit::Copy { copy, to } => {
            fs::copy(path(copy), path(to)).unwrap();
        }
        Edit::Stored { stored, to } => {
            fs::copy(home.join("files").join(stored), path(to)).unwrap();
        }
        Edit::Replace { replace, from, to } => {
            let text = fs::read_to_string(path(replace)).unwrap();
            assert!(text.contains(from.as_str()), "{replace} has no {from:?}");
            fs::write(path(replace), text.replace(from.as_str(), to)).unwrap();
        }
        Edit::Link { link, to } => make_link(to, &path(link)),
        Edit::VocabAndMerges { vocab_and_merges } => write_vocab_and_merges(folder, vocab_and_merges),
        Edit::Tensors { tensors, r#do } => edit_tensors(folder, tensors, r#do),
    }
}

#[cfg(unix)]
fn make_link(target: &str, link: &Path) {
    std::os::unix::fs::symlink(target, link).unwrap();
}

#[cfg(windows)]
fn make_link(target: &str, link: &Path) {
    std::os::windows::fs::symlink_file(target, link).unwrap();
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The steps of a JSON pointer.
fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

fn set_values(path: &Path, values: &Map<String, Value>) {
    let mut root = if path.exists() { read_json(path) } else { Value::Object(Map::new()) };
    for (pointer, value) in values {
        let steps = steps(pointer);
        let (last, parents) = steps.split_last().unwrap();
        let mut place = &mut root;
        for step in parents {
            place = match place {
                Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
                Value::Object(object) => {
                    object.entry(step.as_str()).or_insert_with(|| Value::Object(Map::new()))
                }
                other => panic!("{pointer}: {other} has no members"),
            };
        }
        match place {
            Value::Array(items) if last == "-" => items.push(value.clone()),
            Value::Array(items) => items[last.parse::<usize>().unwrap()] = value.clone(),
            Value::Object(object) => drop(object.insert(last.clone(), value.clone())),
            other => panic!("{pointer}: {other} has no members"),
        }
    }
    fs::write(path, serde_json::to_vec(&root).unwrap()).unwrap();
}

fn unset_values(path: &Path, pointers: &[String]) {
    let mut root = read_json(path);
    for pointer in pointers {
        let (parent, _) = pointer.rsplit_once('/').unwrap();
        let last = steps(pointer).pop().unwrap();
        match root.pointer_mut(parent).unwrap_or_else(|| panic!("no {pointer}")) {
            Value::Array(items) => drop(items.remove(last.parse::<usize>().unwrap())),
            Value::Object(object) => {
                object.remove(&last).unwrap_or_else(|| panic!("no {pointer}"));
            }
            other => panic!("{pointer}: {other} has no members"),
        }
    }
    fs::write(path, serde_json::to_vec(&root).unwrap()).unwrap();
}

fn write_vocab_and_merges(folder: &Path, tokenizer: &str) {
    let model = read_json(&folder.join(tokenizer))["model"].take();
    fs::write(folder.join("vocab.json"), serde_json::to_vec(&model["vocab"]).unwrap()).unwrap();
    let mut lines = vec!["#version: 0.2".to_string()];
    for merge in model["merges"].as_array().unwrap() {
        lines.push(match merge {
            Value::String(merge) => merge.clone(),
            pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        });
    }
    fs::write(folder.join("merges.txt"), lines.join("\n") + "\n").unwrap();
}
