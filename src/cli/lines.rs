//! Plain lines on standard input, each answered with one line as soon as it can be.

use std::io::{self, BufRead, Write};
use std::sync::mpsc::{sync_channel, Receiver};
use std::thread;

use anyhow::Context;
use neural_sparse::format::{write_by_name, Terms};
use neural_sparse::run::Shape;
use neural_sparse::{Side, SparseEncoder, SparseVector};

use super::bulk::Tally;
use super::failure::{complain, Exit};
use super::output::Output;
use neural_sparse::input::trim_line;

/// Lines that wait are encoded together, up to these many and these bytes.
const MAX_LINES: usize = 256;
const MAX_BYTES: usize = 1 << 20;

/// Encodes standard input line by line; every line is answered, the blank one too.
///
/// A program that writes a line and waits gets its answer: lines are read on a
/// thread of their own, and whatever has arrived is encoded without waiting for
/// more. A line that is not UTF-8, or that the tokenizer refuses, is answered with `{}`, so that the two never
/// lose step, and the run ends as [`Exit::Rejected`].
pub(super) fn encode_lines(
    encoder: &SparseEncoder,
    side: Side,
    shape: &Shape,
    out: &mut Output,
    tally: &mut Tally,
) -> anyhow::Result<Exit> {
    let lines = read_lines();
    let mut number = 0;
    let mut exit = Exit::Done;
    while let Some(batch) = waiting_lines(&lines)? {
        let texts: Vec<Option<&str>> = batch.iter().map(|line| std::str::from_utf8(line).ok()).collect();
        let good: Vec<&str> = texts.iter().copied().flatten().collect();
        let mut encoded = encoder.encode_each(&good, side)?.into_iter();
        for text in texts {
            number += 1;
            let encoded = match text.and_then(|_| encoded.next()) {
                Some(encoded) => encoded.map_err(|error| error.to_string()),
                None => Err("not UTF-8".into()),
            };
            match encoded {
                Ok(encoded) => {
                    tally.rows_in += 1;
                    tally.count_text(encoded.num_tokens, encoded.is_cut);
                    write_line(out, encoder, &shape.apply(encoded.vector))?;
                }
                Err(reason) => {
                    complain(format_args!(
                        "error: standard input line {number}: {reason}; answered with {{}}"
                    ));
                    exit = Exit::Rejected;
                    write_line(out, encoder, &SparseVector::default())?;
                }
            }
        }
        out.flush()?;
    }
    Ok(exit)
}

/// Reads standard input on a thread of its own. A failure to read is the last thing that it sends.
fn read_lines() -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = sync_channel(MAX_LINES);
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut first = true;
        loop {
            let mut line = Vec::new();
            let read = stdin.read_until(b'\n', &mut line);
            let (message, last) = match read {
                Ok(0) => return,
                Ok(_) => {
                    trim_line(&mut line, first);
                    (Ok(line), false)
                }
                Err(error) => (Err(error), true),
            };
            first = false;
            if sender.send(message).is_err() || last {
                return;
            }
        }
    });
    receiver
}

/// The lines that have arrived, waiting for the first; `None` at the end of the input.
fn waiting_lines(lines: &Receiver<io::Result<Vec<u8>>>) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
    let Ok(first) = lines.recv() else { return Ok(None) };
    let mut batch = vec![first.context("cannot read standard input")?];
    let mut bytes = batch[0].len();
    while batch.len() < MAX_LINES && bytes < MAX_BYTES {
        match lines.try_recv() {
            Ok(line) => {
                let line = line.context("cannot read standard input")?;
                bytes += line.len();
                batch.push(line);
            }
            Err(_) => break,
        }
    }
    Ok(Some(batch))
}

/// Writes one vector and a newline.
pub(super) fn write_line(out: &mut Output, encoder: &SparseEncoder, vector: &SparseVector) -> io::Result<()> {
    let mut line = Vec::new();
    write_by_name(&mut line, vector, Terms::Vocabulary(encoder.tokenizer()));
    line.push(b'\n');
    out.write_all(&line)?;
    out.end_row()
}
