//! Tables of text: columns under their titles, as wide as they are, or as there is room.

use std::io::{self, Write};
use std::iter::once;

use crate::printable::escaped;

/// Rows under titles.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Column {
    title: String,
    /// On which side its cells stand; text is also broken into lines where the terminal is narrow.
    is_number: bool,
}

/// What stands between two columns.
const GAP: &str = "  ";

/// Text is broken into lines of no fewer characters than this.
const NARROWEST: usize = 12;

impl Table {
    /// A table without columns.
    pub fn new() -> Self {
        Table::default()
    }

    /// Adds a column of text.
    pub fn text(mut self, title: impl Into<String>) -> Self {
        self.columns.push(Column { title: title.into(), is_number: false });
        self
    }

    /// Adds a column of numbers, which stand on its right side.
    pub fn number(mut self, title: impl Into<String>) -> Self {
        self.columns.push(Column { title: title.into(), is_number: true });
        self
    }

    /// Adds a row, a cell for each column.
    ///
    /// # Panics
    ///
    /// Where there are more cells than columns, or fewer.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column, anything else is a bug");
        self.rows.push(cells);
    }

    /// Adds several rows; see [`Table::row`].
    pub fn rows(mut self, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        rows.into_iter().for_each(|row| self.row(row));
        self
    }

    /// Writes the table so that no line is wider than `limit`, if there is one.
    ///
    /// The widest columns of text are broken into lines first. Where that is not enough, columns that have no room stand
    /// in a table of their own below, with the first column beside them. With a limit the reader is taken for a terminal:
    /// control characters in cells are escaped.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write, limit: Option<usize>) -> io::Result<()> {
        let Some(limit) = limit else {
            return self.write_columns(out, &self.all(), &self.widths(plain_width), plain_width);
        };
        // Escapes take room.
        let rows = self.rows.iter().map(|row| row.iter().map(|cell| escaped(cell).into_owned()).collect());
        let shown = Table { columns: self.columns.clone(), rows: rows.collect() };
        let mut widths = shown.widths(shown_width);
        shown.narrow(&mut widths, limit);
        for (number, columns) in shown.blocks(&widths, limit).iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            shown.write_columns(out, columns, &widths, shown_width)?;
        }
        Ok(())
    }

    fn all(&self) -> Vec<usize> {
        (0..self.columns.len()).collect()
    }

    fn widths(&self, width: fn(&str) -> usize) -> Vec<usize> {
        let widest = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].as_str());
            cells.chain([self.columns[column].title.as_str()]).map(width).max().unwrap_or(0)
        };
        self.all().into_iter().map(widest).collect()
    }

    /// Takes width from the widest column of text, until all fit or none can give any.
    fn narrow(&self, widths: &mut [usize], limit: usize) {
        let narrowest = |column: usize| NARROWEST.max(shown_width(&self.columns[column].title));
        loop {
            let total = total(widths.iter().copied());
            let can_give =
                |column: &usize| !self.columns[*column].is_number && widths[*column] > narrowest(*column);
            let widest =
                self.all().into_iter().filter(can_give).max_by_key(|&column| (widths[column], column));
            let (Some(widest), true) = (widest, total > limit) else { break };
            let next = self.all().into_iter().filter(|column| can_give(column) && *column != widest);
            let floor = next.map(|column| widths[column]).max().unwrap_or(0).max(narrowest(widest));
            // Down to the next one at once, and then in turns.
            let step = (widths[widest] - floor).max(1);
            widths[widest] -= step.min(total - limit);
        }
        // One that is wider than the terminal by itself.
        let (widest, own) = (limit.max(1), widths.to_vec());
        for (column, width) in
            own.into_iter().enumerate().filter(|(column, _)| !self.columns[*column].is_number)
        {
            widths[column] = width.min(widest);
        }
    }

    /// Columns that stand beside each other; the first column leads each of the blocks.
    fn blocks(&self, widths: &[usize], limit: usize) -> Vec<Vec<usize>> {
        let mut blocks = vec![vec![0]];
        for column in 1..self.columns.len() {
            let block = blocks.last_mut().expect("a block, anything else is a bug");
            let is_full = total(block.iter().chain([&column]).map(|&column| widths[column])) > limit;
            if is_full && block.len() > 1 {
                blocks.push(vec![0, column]);
            } else {
                block.push(column);
            }
        }
        blocks
    }

    fn write_columns(
        &self,
        out: &mut impl Write,
        columns: &[usize],
        widths: &[usize],
        width_of: fn(&str) -> usize,
    ) -> io::Result<()> {
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.clone()).collect();
        for row in once(&titles).chain(&self.rows) {
            let cells: Vec<Vec<String>> =
                columns.iter().map(|&column| broken(&row[column], widths[column], width_of)).collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(1);
            for number in 0..height {
                let mut line = String::new();
                for (cell, &column) in cells.iter().zip(columns) {
                    let part = cell.get(number).map_or("", String::as_str);
                    let room = " ".repeat(widths[column].saturating_sub(width_of(part)));
                    let gap = if line.is_empty() && column == columns[0] { "" } else { GAP };
                    line += gap;
                    line +=
                        &if self.columns[column].is_number { room + part } else { part.to_string() + &room };
                }
                writeln!(out, "{}", line.trim_end())?;
            }
        }
        Ok(())
    }
}

/// The width of columns beside each other.
fn total(widths: impl Iterator<Item = usize>) -> usize {
    let (sum, count) = widths.fold((0, 0), |(sum, count), width| (sum + width, count + 1));
    sum + GAP.len() * usize::saturating_sub(count, 1)
}

/// The lines of a cell of at most so many columns, broken between words where there is a space.
fn broken(cell: &str, limit: usize, width_of: fn(&str) -> usize) -> Vec<String> {
    if width_of(cell) <= limit {
        return vec![cell.to_string()];
    }
    let mut lines = vec![String::new()];
    for word in cell.split_inclusive(' ') {
        let line = lines.last_mut().expect("a line, anything else is a bug");
        let end = width_of(line) + width_of(word.trim_end());
        if end > limit && !line.is_empty() {
            lines.push(String::new());
        }
        for character in word.chars() {
            let line = lines.last_mut().expect("a line, anything else is a bug");
            let is_full = width_of(line) + width_of(character.encode_utf8(&mut [0; 4])) > limit;
            match is_full && !line.is_empty() {
                true if character == ' ' => {}
                true => lines.push(character.to_string()),
                false => line.push(character),
            }
        }
    }
    lines
}

/// Characters: what is not shown to anybody is not asked how wide it looks.
fn plain_width(text: &str) -> usize {
    text.chars().count()
}

/// Columns of a terminal, of which some characters take two.
fn shown_width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(table: &Table, limit: Option<usize>) -> Vec<String> {
        let mut out = Vec::new();
        table.write(&mut out, limit).expect("memory");
        String::from_utf8(out).expect("UTF-8").lines().map(String::from).collect()
    }

    fn figures() -> Table {
        let row = |name: &str, note: &str| vec![name.to_string(), "1.5".into(), "20".into(), note.into()];
        Table::new()
            .text("name")
            .number("weight")
            .number("documents")
            .text("note")
            .rows([row("a", "one two three four five six"), row("longer", "-")])
    }

    #[test]
    fn a_table_is_as_wide_as_it_is() {
        let lines = printed(&figures(), None);
        assert_eq!(lines[0], "name    weight  documents  note");
        assert_eq!(lines[1], "a          1.5         20  one two three four five six");
        assert_eq!(lines[2], "longer     1.5         20  -");
        assert_eq!(printed(&figures(), Some(80)), lines);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let table = figures().rows([vec!["名前".repeat(30), "3".into(), "4".into(), "x".repeat(50)]]);
        for limit in 30..120 {
            let lines = printed(&table, Some(limit));
            for line in &lines {
                assert!(shown_width(line) <= limit, "{limit}: {line}");
            }
            // Nothing is left out.
            let text = lines.concat();
            for word in ["one", "six", "1.5", "20", "weight", "documents"] {
                assert!(text.contains(word), "{limit}: {lines:?}");
            }
            let count = |wanted: char| text.chars().filter(|character| *character == wanted).count();
            assert_eq!(count('x'), 50 + 1, "{limit}");
        }
    }

    #[test]
    fn columns_that_have_no_room_stand_below() {
        let mut table = Table::new().text("data");
        for number in 0..10 {
            table = table.number(format!("figure {number}"));
        }
        let table = table
            .rows([once("cranfield".to_string()).chain((0..10).map(|figure| figure.to_string())).collect()]);
        let lines = printed(&table, Some(40));
        assert_eq!(lines.iter().filter(|line| line.starts_with("cranfield")).count(), 4);
        assert_eq!(lines.iter().filter(|line| line.is_empty()).count(), 3);
        assert_eq!(lines[0], "data       figure 0  figure 1  figure 2");
    }

    #[test]
    fn characters_that_take_two_columns_are_counted_as_such_on_a_terminal() {
        let table = Table::new()
            .text("term")
            .number("n")
            .rows([vec!["天気".into(), "1".into()], vec!["abcd".into(), "2".into()]]);
        assert_eq!(printed(&table, Some(80)), ["term  n", "天気  1", "abcd  2"]);
    }
}
