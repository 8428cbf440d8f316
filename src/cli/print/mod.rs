//! How what people read looks: messages, and tables on a terminal.

pub(super) mod message;

use std::io::{self, IsTerminal, Write};

use neural_sparse::report::{SweepReport, Table};

/// Writes a table to standard output: as wide as it is, but no wider than a terminal.
///
/// * `is_standard_output`: whether `out` ends there.
pub(super) fn table(out: &mut impl Write, table: &Table, is_standard_output: bool) -> io::Result<()> {
    table.write(out, terminal_width().filter(|_| is_standard_output))
}

/// The width of the terminal that standard output is, if it is one.
fn terminal_width() -> Option<usize> {
    let is_terminal = io::stdout().is_terminal();
    let size = is_terminal.then(terminal_size::terminal_size).flatten();
    size.map(|(terminal_size::Width(columns), _)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// Writes a sweep to standard output: its table, and below it what it is compared with and what was chosen.
pub(super) fn report(out: &mut impl Write, sweep: &SweepReport) -> io::Result<()> {
    table(out, &sweep.table(), true)?;
    writeln!(out, "\n{}", sweep.baseline_sentence())?;
    sweep.choice_sentence().map_or(Ok(()), |sentence| writeln!(out, "{sentence}"))
}
