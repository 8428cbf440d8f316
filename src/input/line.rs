//! One line of bytes.

use std::io::{self, BufRead};

/// The byte order mark, which is no part of a file's first line.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads up to and with the next line end, and returns how many bytes that were; more than `limit` are
/// read and let go.
pub(super) fn read_line(reader: &mut dyn BufRead, limit: usize, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut read = 0;
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = available.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(available.len(), |end| end + 1);
        // The line end does not count.
        let held = taken.min(limit.saturating_add(usize::from(end.is_some())).saturating_sub(line.len()));
        line.extend_from_slice(&available[..held]);
        read += taken as u64;
        reader.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(read);
        }
    }
}

/// Removes the line end and, from the first line of a file, the byte order mark.
pub fn trim_line(bytes: &mut Vec<u8>, first: bool) {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if first && bytes.starts_with(BOM) {
        bytes.drain(..BOM.len());
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(bytes: &'static [u8], limit: usize) -> Vec<(u64, Vec<u8>)> {
        // A small buffer, so that lines stand across its ends.
        let mut reader = BufReader::with_capacity(3, bytes);
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            match read_line(&mut reader, limit, &mut line).expect("memory") {
                0 => return lines,
                read => lines.push((read, line)),
            }
        }
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_one_beyond_is_not() {
        assert_eq!(lines(b"abcde\nx\n", 5), [(6, b"abcde\n".to_vec()), (2, b"x\n".to_vec())]);
        let [(read, line), (2, _)] = &lines(b"abcdef\nx\n", 5)[..] else { panic!("two lines") };
        assert!(*read > line.len() as u64 && line.len() <= 6);
        assert_eq!(lines(b"abcdefghij", 4), [(10, b"abcd".to_vec())]);
    }
}
