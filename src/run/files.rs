//! The files that a run writes: rows, rejects, and the journal that lets it go on after anything.
//!
//! A point of the journal is recorded after what it counts is written for good, and names appear after the last point.
//! Whatever happens, the files hold at least what the last point counts; going on cuts off the rest.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{Left, RunError};
use super::journal::{self, Identity, Journal, Past, Point};
use super::model_hash::ModelHash;
use super::paths::{appear, Earlier, Held, Paths};
use super::tally::Tally;
use crate::input::{Position, Source};
use crate::one_line::one_line;
use crate::storage::{PartialFile, Storage};

/// How often a point is recorded at most: the work that a killed run loses, against waiting for the disk.
const POINT_INTERVAL: Duration = Duration::from_secs(2);

/// Where rows are written.
enum Rows {
    /// As they come.
    Stream(Box<dyn Write>),
    /// To a file that gets its name at the end.
    File(PartialFile),
}

/// The files of a run that is under way.
pub(super) struct RunFiles {
    storage: Arc<dyn Storage>,
    rows: Rows,
    rejects: Option<PartialFile>,
    paths: Option<Paths>,
    /// `None` where the output is a stream.
    journal: Option<Journal>,
    /// What the journal says that the run is; `None` where no run can go on with the output, because its input is a
    /// stream.
    identity: Option<Identity>,
    /// The hash of the model's files, which the identity lacks until it is needed.
    model: ModelHash,
    /// Whom this run goes on with.
    past: Option<Past>,
    sources: Vec<Arc<Source>>,
    /// The last place after which everything written is whole.
    reached: Option<Point>,
    recorded: Instant,
    interval: Duration,
    /// Time that earlier runs have spent, and when this one began.
    seconds_before: f64,
    started: Instant,
}

impl RunFiles {
    /// Rows that are written as they come.
    pub fn stream(
        storage: Arc<dyn Storage>,
        rows: Box<dyn Write>,
        rejects: Option<PartialFile>,
        model: ModelHash,
    ) -> Self {
        RunFiles {
            storage,
            rows: Rows::Stream(rows),
            rejects,
            paths: None,
            journal: None,
            identity: None,
            model,
            past: None,
            sources: Vec::new(),
            reached: None,
            recorded: Instant::now(),
            interval: POINT_INTERVAL,
            seconds_before: 0.0,
            started: Instant::now(),
        }
    }

    /// Rows in files of these names, and the point from which the run goes on.
    ///
    /// * `identity`: what the run is, but for the model's files; `None` where no run can go on with it.
    ///
    /// # Errors
    ///
    /// [`RunError::Changed`] when something that decides the output has changed since the earlier run: each change is
    /// named.
    pub fn named(
        storage: Arc<dyn Storage>,
        paths: Paths,
        earlier: Earlier,
        held: Held,
        identity: Option<Identity>,
        (sources, model): (&[Arc<Source>], ModelHash),
    ) -> Result<(Self, Option<Point>), RunError> {
        let open = |path: &PathBuf| PartialFile::new(Arc::clone(&storage), path, earlier.existing());
        let (mut rows, mut rejects) = (open(&paths.output)?, paths.rejects.as_ref().map(open).transpose()?);
        let Held { mut journal, past } = held;
        let (mut point, mut gone_on_with) = (None, None);
        if let (Some(mut past), Some(identity)) = (past, &identity) {
            point = past.point.take();
            if let Some(point) = &point {
                let changes = changes(&past, point, identity, &paths, sources)?;
                refuse_changes(changes, &paths.output)?;
                let mut files = vec![(&mut rows, point.output)];
                files.extend(rejects.as_mut().map(|rejects| (rejects, point.rejects)));
                files.retain(|(_, length)| *length > 0);
                // Nothing is cut off before all of them are found to be as they were left.
                files.iter().try_for_each(|(file, length)| file.check_length(*length))?;
                journal.go_on(&past).map_err(RunError::write("journal"))?;
                files.into_iter().try_for_each(|(file, length)| file.go_on(length))?;
                gone_on_with = Some(past);
            }
        }
        let files = RunFiles {
            rows: Rows::File(rows),
            paths: Some(paths),
            journal: Some(journal),
            identity,
            past: gone_on_with,
            sources: sources.to_vec(),
            seconds_before: point.as_ref().map_or(0.0, |point| point.seconds),
            reached: point.clone(),
            ..Self::stream(storage, Box::new(io::sink()), rejects, model)
        };
        Ok((files, point))
    }

    /// Writes a row of output.
    pub fn write_row(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        self.start()?;
        let written = match &mut self.rows {
            Rows::Stream(stream) => stream.write_all(bytes),
            Rows::File(file) => file.write_all(bytes),
        };
        written.map_err(RunError::write("output"))
    }

    /// Writes the report of a rejected row, if reports are written.
    pub fn write_reject(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        self.start()?;
        match &mut self.rejects {
            Some(rejects) => rejects.write_all(bytes).map_err(RunError::write("rejects")),
            None => Ok(()),
        }
    }

    /// Whether reports are written.
    pub fn has_rejects(&self) -> bool {
        self.rejects.is_some()
    }

    /// Marks the end of what one line of the input gave. Now and then, what was written is made to last.
    pub fn end_line(&mut self, position: &Position, tally: &Tally) -> Result<(), RunError> {
        let Rows::File(rows) = &mut self.rows else { return Ok(()) };
        let is_whole = rows.end_row().map_err(RunError::write("output"))?;
        if !is_whole || self.identity.is_none() {
            return Ok(());
        }
        let output = rows.written();
        let rejects = self.rejects.as_mut().map_or(0, |rejects| rejects.written());
        let (position, tally) = (*position, tally.clone());
        self.reached = Some(Point { output, rejects, position, tally, ..Point::default() });
        if self.recorded.elapsed() >= self.interval {
            self.record(false)?;
        }
        Ok(())
    }

    /// Hands on what was written, where somebody may be waiting for it.
    pub fn flush(&mut self) -> Result<(), RunError> {
        match &mut self.rows {
            Rows::Stream(stream) => stream.flush().map_err(RunError::write("output")),
            Rows::File(_) => Ok(()),
        }
    }

    /// Time that was spent on this output, in this run and those that it goes on with.
    pub fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    /// The hash of the model's files, where it is needed.
    pub fn model_sha256(&mut self) -> Result<Option<String>, RunError> {
        Ok(self.model.wait()?.cloned())
    }

    /// Ends a run that cannot finish: all that can be is written and made to last, and what there is is said.
    pub fn stop(mut self, tally: &Tally) -> Left {
        let mut is_whole = self.record(false).is_ok();
        let mut partial = None;
        match &mut self.rows {
            // A failure here is no news: there is one already.
            Rows::Stream(stream) => drop(stream.flush()),
            // So that what there is can be read; going on cuts it off and makes the part whole.
            Rows::File(file) if tally.rows_out > 0 => {
                is_whole = file.complete().is_ok() && is_whole;
                partial = Some(file.partial().to_path_buf());
            }
            Rows::File(_) => {}
        }
        let is_resumable = self.identity.is_some() && tally.rows_in > 0;
        if let (Some(journal), None) = (self.journal.take(), &self.identity) {
            // It was only a lock.
            let _ = journal.remove();
        }
        Left { rows: tally.rows_out, partial, is_whole, is_resumable }
    }

    /// Completes the files: everything is written for good, then they get their names.
    pub fn finish(mut self, position: Position, tally: &Tally) -> Result<(), RunError> {
        self.start()?;
        if let Rows::File(rows) = &mut self.rows {
            rows.complete()?;
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.complete()?;
        }
        if self.identity.is_some() {
            self.reached = Some(Point { position, tally: tally.clone(), ..Point::default() });
            self.record(true)?;
        }
        if let Some(rejects) = self.rejects {
            rejects.appear()?;
        }
        match (self.rows, self.paths) {
            (Rows::File(rows), Some(paths)) => {
                appear(&self.storage, rows, &paths.output, paths.assembly.as_deref())?;
            }
            (Rows::Stream(mut stream), _) => stream.flush().map_err(RunError::write("output"))?,
            (Rows::File(rows), None) => rows.appear()?,
        }
        Ok(self.journal.map_or(Ok(()), Journal::remove)?)
    }

    /// Begins the journal, then the files: what an earlier run has left in them is gone when it is not known any more.
    fn start(&mut self) -> Result<(), RunError> {
        let Some(journal) = self.journal.as_mut().filter(|journal| !journal.has_begun()) else {
            return Ok(());
        };
        journal.start(self.identity.as_ref()).map_err(RunError::write("journal"))?;
        if let Rows::File(rows) = &mut self.rows {
            rows.start()?;
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.start()?;
        }
        Ok(())
    }

    /// Has the identity complete, before the first record that a run could go on with.
    fn identify(&mut self) -> Result<(), RunError> {
        let (Some(journal), Some(identity)) = (&mut self.journal, &mut self.identity) else { return Ok(()) };
        if identity.model_sha256.is_some() {
            return Ok(());
        }
        let Some(hash) = self.model.wait()? else { return Ok(()) };
        let complete = Identity { model_sha256: Some(hash.clone()), ..identity.clone() };
        match &self.past {
            None => journal.identify(&complete).map_err(RunError::write("journal"))?,
            Some(past) => {
                let output = self.paths.as_ref().map(|paths| paths.output.clone()).unwrap_or_default();
                refuse_changes(complete.model_change(&past.identity).into_iter().collect(), &output)?;
            }
        }
        *identity = complete;
        Ok(())
    }

    /// Makes what was reached last, and records it, unless the input has changed meanwhile.
    fn record(&mut self, is_complete: bool) -> Result<(), RunError> {
        if self.reached.is_none() || !self.journal.as_ref().is_some_and(Journal::has_begun) {
            // Nothing was written: there is nothing that could be lost.
            return Ok(());
        }
        self.identify()?;
        let (Some(journal), Some(reached), Rows::File(rows)) =
            (&mut self.journal, &self.reached, &mut self.rows)
        else {
            return Ok(());
        };
        let mut point = Point {
            rejects_path: self.paths.as_ref().and_then(|paths| paths.rejects.clone()),
            seconds: self.seconds_before + self.started.elapsed().as_secs_f64(),
            is_complete,
            ..reached.clone()
        };
        if !is_complete {
            if point.output > 0 {
                rows.sync().map_err(RunError::write("output"))?;
            }
            if let (Some(rejects), 1..) = (&mut self.rejects, point.rejects) {
                rejects.sync().map_err(RunError::write("rejects"))?;
            }
            // What was read before this moment is of one and the same file.
            let source = &self.sources[point.position.file];
            source.check_unchanged()?;
            point.sample =
                journal::sample(&source.path, point.position.raw).map_err(RunError::read(source))?;
        }
        journal.record(&point).map_err(RunError::write("journal"))?;
        self.recorded = Instant::now();
        Ok(())
    }
}

/// What has changed since the run that `past` tells of, each in words.
fn changes(
    past: &Past,
    point: &Point,
    identity: &Identity,
    paths: &Paths,
    sources: &[Arc<Source>],
) -> Result<Vec<String>, RunError> {
    let mut changes = identity.changes_since(&past.identity);
    if point.tally.rejected > 0 && point.rejects_path != paths.rejects {
        let shown = |path: &Option<PathBuf>| {
            path.as_ref().map_or("not set".to_string(), |path| format!("`{}`", path.display()))
        };
        changes.push(format!(
            "the file of rejects was {} and is {}",
            shown(&point.rejects_path),
            shown(&paths.rejects)
        ));
    }
    let Some(source) = sources.get(point.position.file) else {
        changes.push(format!("input {} was read, and there are {}", point.position.file, sources.len()));
        return Ok(changes);
    };
    if changes.is_empty() {
        let end = point.position.raw;
        let is_behind_the_end = source.size.is_some_and(|size| end > size);
        let sample = journal::sample(&source.path, end).map_err(RunError::read(source))?;
        if is_behind_the_end || sample != point.sample {
            changes.push(format!("what {} holds before byte {end} is not what was read", source.name()));
        }
    }
    Ok(changes)
}

/// The most changes that are named: a journal may have been written by anybody.
const MAX_CHANGES: usize = 20;

fn refuse_changes(changes: Vec<String>, output: &Path) -> Result<(), RunError> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> =
        changes.iter().take(MAX_CHANGES).map(|change| one_line(change).into_owned()).collect();
    if changes.len() > MAX_CHANGES {
        named.push(format!("{} more", changes.len() - MAX_CHANGES));
    }
    Err(RunError::Changed { output: output.to_path_buf(), changes: named })
}

#[cfg(test)]
mod tests;
