//! The README's commands, word for word, run by a shell as a newcomer would.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::program::folder;

/// The commands in the `sh` blocks, but for the sections whose commands need a network or other programs.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let sections = readme
        .split("\n## ")
        .filter(|section| !section.starts_with("With a network") && !section.starts_with("On many machines"));
    let blocks = sections
        .flat_map(|section| section.split("```sh\n").skip(1))
        .map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty()).map(String::from).collect()
}

#[test]
fn every_command_that_needs_no_network_runs() {
    let place = folder();
    let program = Path::new(env!("CARGO_BIN_EXE_neural-sparse"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut num_run = 0;
    for command in commands() {
        // Builds and this very test; the continuous integration runs those.
        if command.starts_with("cargo ") {
            continue;
        }
        let output = Command::new("sh")
            .args(["-c", &command])
            .current_dir(place.path())
            .env("PATH", &path)
            .env("HF_HUB_OFFLINE", "1")
            .env("XDG_CACHE_HOME", place.path().join("cache"))
            .env_remove("NEURAL_SPARSE_MODEL")
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        num_run += 1;
    }
    assert!(num_run >= 30, "only {num_run} commands found");
}
