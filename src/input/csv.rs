//! Comma-separated values: a record as a line of JSON, its fields named by the first record.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader};

use crate::one_line::one_line;

/// Reads records, of which one may stand on several lines.
pub(super) struct Records {
    reader: Reader,
    /// The column names as JSON, a colon behind each.
    names: Vec<String>,
    /// The fields of a record, and where they end.
    fields: Vec<u8>,
    ends: Vec<usize>,
    num_fields: usize,
    /// The record as it was written, as far as it is held.
    raw: Vec<u8>,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing: the file is at its end.
    End,
    /// A record.
    Whole,
    /// A record of so many bytes, more than may be held.
    TooLong(u64),
    /// A record that cannot be read, and why.
    Bad(String),
}

/// The place of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes that were read for it, blank lines before it included.
    pub bytes: u64,
    /// Line ends in them.
    pub lines: u64,
    /// Line ends of the blank lines before it.
    pub lines_before: u64,
}

/// The most bytes of the names of all columns.
const MAX_HEADER_BYTES: usize = 1 << 20;

impl Records {
    /// Reads the column names.
    ///
    /// # Errors
    ///
    /// Those of `source`; one of the kind `InvalidData` for names that are too long, not UTF-8 or not different.
    pub fn open(source: &mut dyn BufRead) -> io::Result<(Self, Extent)> {
        let mut records = Records {
            reader: Reader::new(),
            names: Vec::new(),
            fields: vec![0; 1 << 10],
            ends: vec![0; 1 << 6],
            num_fields: 0,
            raw: Vec::new(),
        };
        let (found, extent) = records.read_fields(source, MAX_HEADER_BYTES)?;
        match found {
            Found::End | Found::Whole => {}
            Found::TooLong(bytes) => return Err(invalid(format!("column names of {bytes} bytes"))),
            Found::Bad(reason) => return Err(invalid(format!("in the column names: {reason}"))),
        }
        for place in 0..records.num_fields {
            let name = std::str::from_utf8(records.field(place))
                .map_err(|_| invalid("column names that are not UTF-8".into()))?;
            let name = format!("{}:", serde_json::Value::from(name));
            if records.names.contains(&name) {
                return Err(invalid(format!("two columns are called {}", name.trim_end_matches(':'))));
            }
            records.names.push(name);
        }
        Ok((records, extent))
    }

    /// Reads the next record into `line`, as an object of JSON: each field is a string. Of one that cannot be read, and
    /// of one of more than `limit` bytes, `line` holds the beginning as it was written.
    ///
    /// # Errors
    ///
    /// Those of `source`.
    pub fn read(
        &mut self,
        source: &mut dyn BufRead,
        limit: usize,
        line: &mut Vec<u8>,
    ) -> io::Result<(Found, Extent)> {
        let (mut found, extent) = self.read_fields(source, limit)?;
        if found == Found::Whole {
            if let Err(reason) = self.write_object(line) {
                found = Found::Bad(reason);
            }
        }
        if matches!(found, Found::TooLong(_) | Found::Bad(_)) {
            line.clear();
            line.extend_from_slice(self.raw.trim_ascii_start());
        }
        Ok((found, extent))
    }

    fn write_object(&self, line: &mut Vec<u8>) -> Result<(), String> {
        let (count, expected) = (self.num_fields, self.names.len());
        if count != expected {
            return Err(format!("{count} fields, and the first line names {expected} columns"));
        }
        line.push(b'{');
        for (place, name) in self.names.iter().enumerate() {
            let value = std::str::from_utf8(self.field(place))
                .map_err(|_| format!("the column {} is not UTF-8", name.trim_end_matches(':')))?;
            if place > 0 {
                line.push(b',');
            }
            line.extend_from_slice(name.as_bytes());
            serde_json::to_writer(&mut *line, value).map_err(|error| error.to_string())?;
        }
        line.push(b'}');
        Ok(())
    }

    fn field(&self, place: usize) -> &[u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.fields[start..self.ends[place]]
    }

    /// Reads the fields of the next record.
    fn read_fields(&mut self, source: &mut dyn BufRead, limit: usize) -> io::Result<(Found, Extent)> {
        self.raw.clear();
        let (mut extent, mut has_begun) = (Extent::default(), false);
        let (mut num_bytes, mut num_ends, mut own_bytes) = (0, 0, 0_u64);
        loop {
            let input = match source.fill_buf() {
                Ok(input) => input,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let is_at_end = input.is_empty();
            if is_at_end && !has_begun {
                self.num_fields = 0;
                return Ok((Found::End, extent));
            }
            // A record that the file ends in ends here too, unless a quote is open.
            let input = if is_at_end { b"\n" } else { input };
            let (result, taken, fields, ends) =
                self.reader.read_record(input, &mut self.fields[num_bytes..], &mut self.ends[num_ends..]);
            (num_bytes, num_ends) = (num_bytes + fields, num_ends + ends);
            if !is_at_end {
                let blank = match has_begun {
                    true => 0,
                    false => input[..taken].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count(),
                };
                has_begun |= blank < taken;
                let line_ends = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                extent.bytes += taken as u64;
                extent.lines += line_ends(&input[..taken]);
                extent.lines_before += line_ends(&input[..blank]);
                own_bytes += (taken - blank) as u64;
                let held = (taken - blank).min(limit.saturating_sub(self.raw.len()));
                self.raw.extend_from_slice(&input[blank..blank + held]);
                let is_cut_in_two = input[..taken].ends_with(b"\r");
                source.consume(taken);
                if matches!(result, ReadRecordResult::Record) && is_cut_in_two {
                    self.take_line_feed(source, &mut extent)?;
                }
            }
            // The line end does not count.
            let is_too_long = own_bytes > limit as u64 + 2;
            match result {
                _ if is_too_long && !matches!(result, ReadRecordResult::Record | ReadRecordResult::End) => {
                    (num_bytes, num_ends) = (0, 0);
                    if is_at_end {
                        return Ok((Found::TooLong(own_bytes), extent));
                    }
                }
                ReadRecordResult::Record | ReadRecordResult::End => {
                    self.num_fields = num_ends;
                    return Ok((if is_too_long { Found::TooLong(own_bytes) } else { Found::Whole }, extent));
                }
                ReadRecordResult::InputEmpty if is_at_end => {
                    let reason = "a quote is opened and not closed before the end of the file";
                    return Ok((Found::Bad(reason.into()), extent));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
    }

    /// Takes the second half of a line end, so that a place between two records is one between two lines.
    fn take_line_feed(&mut self, source: &mut dyn BufRead, extent: &mut Extent) -> io::Result<()> {
        if source.fill_buf()?.first() == Some(&b'\n') {
            source.consume(1);
            extent.bytes += 1;
            extent.lines += 1;
        }
        Ok(())
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, one_line(&reason).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each record of a file, as the object or the error that it gives, and the line that it begins in.
    fn records(text: &[u8], limit: usize) -> Vec<(u64, String)> {
        let mut whole = None;
        for buffer in [1, 2, 3, 7, 1 << 10] {
            let mut source = io::BufReader::with_capacity(buffer, text);
            let (mut records, mut extent) = Records::open(&mut source).expect("column names");
            let (mut found, mut lines) = (Vec::new(), extent.lines);
            let mut bytes = extent.bytes;
            loop {
                let mut line = Vec::new();
                let kind;
                (kind, extent) = records.read(&mut source, limit, &mut line).expect("memory");
                let said = match kind {
                    Found::End => break,
                    Found::Whole => String::from_utf8(line).expect("UTF-8"),
                    Found::TooLong(bytes) => format!("{bytes} bytes"),
                    Found::Bad(reason) => reason,
                };
                found.push((lines + extent.lines_before + 1, said));
                lines += extent.lines;
                bytes += extent.bytes;
            }
            assert_eq!(bytes + extent.bytes, text.len() as u64, "every byte is counted");
            assert_eq!(*whole.get_or_insert(found.clone()), found, "with a buffer of {buffer} bytes");
        }
        whole.expect("several buffers")
    }

    // As Python's csv.DictReader reads them.
    #[test]
    fn records_are_objects_and_begin_at_their_lines() {
        let text = b"id,text\r\n1,\"a \"\"b\"\",\r\nc\"\r\n\r\n2,plain\n3,\"\"\n4,last";
        let expected = [
            (2, r#"{"id":"1","text":"a \"b\",\r\nc"}"#),
            (5, r#"{"id":"2","text":"plain"}"#),
            (6, r#"{"id":"3","text":""}"#),
            (7, r#"{"id":"4","text":"last"}"#),
        ];
        assert_eq!(records(text, 100), expected.map(|(line, object)| (line, object.to_string())));
    }

    #[test]
    fn records_that_cannot_be_read_say_so_and_the_next_one_is_read() {
        let text = b"id,text\n1\n2,\"long, \nlong, long\"\n3,\xff\n4,ok\n5,\"open\n6,x\n";
        let found = records(text, 12);
        assert_eq!(found[0], (2, "1 fields, and the first line names 2 columns".into()));
        assert_eq!(found[1], (3, "22 bytes".into()));
        assert_eq!(found[2], (5, "the column \"text\" is not UTF-8".into()));
        assert_eq!(found[3], (6, r#"{"id":"4","text":"ok"}"#.into()));
        assert_eq!(found[4], (7, "a quote is opened and not closed before the end of the file".into()));
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn column_names_differ() {
        let error = Records::open(&mut &b"a,b,a\n"[..]).map(drop).expect_err("twice");
        assert_eq!(error.to_string(), "two columns are called \"a\"");
        assert!(records(b"", 10).is_empty());
    }
}
