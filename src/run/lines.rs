//! Lines of a stream, each answered as soon as it can be.

use std::io::{self, BufRead};
use std::sync::mpsc::{sync_channel, Receiver};
use std::thread;

use crate::encoder::{Encoded, Side, SparseEncoder};
use crate::error::Error;
use crate::input::trim_line;

/// Lines that wait are encoded together, up to these many and these bytes.
const MAX_LINES: usize = 256;
const MAX_BYTES: usize = 1 << 20;

/// Why the lines of a stream are not answered to their end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinesError {
    /// The stream cannot be read.
    #[error("cannot read the lines")]
    Read(#[source] io::Error),
    /// The answers cannot be written.
    #[error("cannot write the answers")]
    Write(#[source] io::Error),
    /// The encoder fails.
    #[error(transparent)]
    Encoder(#[from] Error),
}

/// What happens to the lines of a stream.
#[derive(Debug)]
pub enum Answer {
    /// The vector of a line, or why it has none: it is not UTF-8, or the tokenizer refuses it.
    Line {
        /// Which line, from 1; the blank one is answered too.
        number: u64,
        /// Its vector.
        encoded: Result<Encoded, String>,
    },
    /// No further line has arrived: whoever waits for answers is to get them.
    Pause,
}

/// Encodes a stream line by line; every line is answered, the blank one too.
///
/// A program that writes a line and waits gets its answer: lines are read on a thread of their own, and whatever has
/// arrived is encoded without waiting for more.
///
/// # Errors
///
/// A [`LinesError`], also where `answer` fails; a line that cannot be used is none.
pub fn encode_lines(
    input: impl BufRead + Send + 'static,
    encoder: &SparseEncoder,
    side: Side,
    mut answer: impl FnMut(Answer) -> io::Result<()>,
) -> Result<(), LinesError> {
    let lines = read_lines(input);
    let mut number = 0;
    while let Some(batch) = waiting_lines(&lines).map_err(LinesError::Read)? {
        let texts: Vec<Option<&str>> = batch.iter().map(|line| std::str::from_utf8(line).ok()).collect();
        let good: Vec<&str> = texts.iter().copied().flatten().collect();
        let mut encoded = encoder.encode_each(&good, side)?.into_iter();
        for text in texts {
            number += 1;
            let encoded = match text.and_then(|_| encoded.next()) {
                Some(encoded) => encoded.map_err(|error| error.to_string()),
                None => Err("not UTF-8".into()),
            };
            answer(Answer::Line { number, encoded }).map_err(LinesError::Write)?;
        }
        answer(Answer::Pause).map_err(LinesError::Write)?;
    }
    Ok(())
}

/// Reads lines on a thread of its own. A failure to read is the last thing that it sends.
fn read_lines(mut input: impl BufRead + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = sync_channel(MAX_LINES);
    thread::spawn(move || {
        let mut first = true;
        loop {
            let mut line = Vec::new();
            let read = input.read_until(b'\n', &mut line);
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
fn waiting_lines(lines: &Receiver<io::Result<Vec<u8>>>) -> io::Result<Option<Vec<Vec<u8>>>> {
    let Ok(first) = lines.recv() else { return Ok(None) };
    let mut batch = vec![first?];
    let mut bytes = batch[0].len();
    while batch.len() < MAX_LINES && bytes < MAX_BYTES {
        match lines.try_recv() {
            Ok(line) => {
                let line = line?;
                bytes += line.len();
                batch.push(line);
            }
            Err(_) => break,
        }
    }
    Ok(Some(batch))
}
