//! The examples at the end of each subcommand's help. The tests run all of them, in this order, in one folder.

/// For each subcommand its name and a colon, and its examples below that.
const EXAMPLES: &str = include_str!("examples.txt");

/// The examples of the subcommand at `path`, the names from the program's on.
pub(super) fn of(path: &str) -> Option<Vec<&'static str>> {
    let mut lines = EXAMPLES.lines().skip_while(|line| line.strip_suffix(':') != Some(path));
    lines.next()?;
    Some(lines.map_while(|line| line.strip_prefix("  ")).collect())
}

/// The last part of the help of the subcommand at `path`.
pub(super) fn text(path: &str, lines: &[&str]) -> String {
    let mut text = "Examples:".to_string();
    for line in lines {
        text += &format!("\n  {line}");
    }
    if path == "neural-sparse" {
        text += "\n\nExit codes: 0 done, 1 failed, 2 usage, 3 finished but some input was rejected, 130 interrupted.";
    }
    text
}
