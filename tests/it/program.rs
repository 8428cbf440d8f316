//! Runs the built program, away from the user's own settings and from every network.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A call of the program.
pub struct Program {
    command: Command,
    stdin: Vec<u8>,
}

/// What came out.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// `neural-sparse` with these arguments, no input, offline, with an empty hub cache.
pub fn neural_sparse<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neural-sparse"));
    command.args(args);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["HF_", "HUGGING", "TRANSFORMERS_", "NEURAL_SPARSE"].iter().any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", "/nonexistent/neural-sparse-tests");
    Program { command, stdin: Vec::new() }
}

impl Program {
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Program {
        self.command.env(name, value);
        self
    }

    /// Runs it in a folder, to which relative paths are then relative.
    pub fn in_folder(mut self, folder: &Path) -> Program {
        self.command.current_dir(folder);
        self
    }

    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Program {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// The command itself, for tests that hold its pipes.
    pub fn into_command(self) -> Command {
        self.command
    }

    pub fn run(mut self) -> Finished {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        let bytes = self.stdin;
        // On a thread of its own: the program may answer before it has read everything.
        let writer = std::thread::spawn(move || stdin.write_all(&bytes).ok());
        let output = child.wait_with_output().expect("the program ends");
        writer.join().expect("the writer ends");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

impl Finished {
    /// Standard output of a run that must have gone well, without a word on standard error.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "stdout: {}", self.stdout);
        self.stdout
    }

    /// Standard error of a run that must have ended with `code` and nothing on standard output.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "stderr: {}", self.stderr);
        self.stderr
    }
}

/// Sends a program what Ctrl-C sends. By the shell's own `kill`: the program of that name is not on every machine.
#[cfg(unix)]
pub fn interrupt(child: &std::process::Child) {
    let command = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &command]).status().expect("a shell").success());
}

/// A file or folder under tests/fixtures.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A temporary folder.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A copy of a fixture model in a folder of its own, to be damaged.
pub fn copied(name: &str) -> tempfile::TempDir {
    let copy = folder();
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

/// The same with the folders in it.
pub fn copied_whole(name: &str) -> tempfile::TempDir {
    let copy = copied(name);
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let folder = copy.path().join(entry.file_name());
            std::fs::create_dir(&folder).unwrap();
            for file in std::fs::read_dir(entry.path()).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
            }
        }
    }
    copy
}

/// The lines of a JSONL file.
pub fn json_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
