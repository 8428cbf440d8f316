//! The files that a run writes: rows, rejects, and the journal that lets it go on after anything.
//!
//! A point of the journal is recorded after what it counts is written for good, and names appear after the last point.
//! Whatever happens, the files hold at least what the last point counts; going on cuts off the rest.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use neural_sparse::format::Assembly;

use super::journal::{self, Identity, Journal, Past, Point};
use super::tally::Tally;
use crate::cli::counted;
use crate::cli::failure::Failure;
use crate::cli::output::{appear, cannot_write, refuse_existing, with_suffix, Existing, Output, PartialFile};
use crate::cli::storage::Storage;
use neural_sparse::input::{Position, Source};

/// What to do with what an earlier run has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Earlier {
    /// It is an error.
    Refuse,
    /// The run goes on with it.
    Resume,
    /// The run starts at the beginning.
    Force,
}

impl Earlier {
    /// What happens to files of that name.
    pub fn existing(self) -> Existing {
        match self {
            Earlier::Refuse => Existing::Refuse,
            Earlier::Resume | Earlier::Force => Existing::Replace,
        }
    }
}

/// Files by name.
#[derive(Clone)]
pub(super) struct Paths {
    pub output: PathBuf,
    pub rejects: Option<PathBuf>,
    /// What makes the files that a run leaves of its rows, where they are not one after the other in `output`.
    pub assembly: Option<Arc<dyn Assembly>>,
}

impl Paths {
    fn journal(&self) -> PathBuf {
        with_suffix(&self.output, ".journal")
    }

    /// The files that a complete run leaves; the first of them appears last.
    fn results(&self) -> Vec<PathBuf> {
        match &self.assembly {
            Some(assembly) => assembly.results(&self.output),
            None => vec![self.output.clone()],
        }
    }

    fn is_complete<S: Storage>(&self, storage: &S) -> bool {
        self.results().first().is_some_and(|path| storage.exists(path))
    }

    /// Finds what an earlier run has left, before anything is read or loaded. True where the output is complete and
    /// the run is to go on: there is nothing left to do.
    pub fn look<S: Storage>(&self, storage: &S, earlier: Earlier) -> anyhow::Result<bool> {
        let partial = with_suffix(&self.output, ".partial");
        match earlier {
            Earlier::Force => Ok(false),
            Earlier::Refuse => {
                let rejects_partial = self.rejects.as_deref().map(|path| with_suffix(path, ".partial"));
                let results = self.results();
                let mut paths: Vec<&Path> = results.iter().map(PathBuf::as_path).collect();
                paths.push(&partial);
                paths.extend(self.rejects.as_deref());
                paths.extend(rejects_partial.as_deref());
                let hint =
                    "`--resume` goes on with what an earlier run has left, `--force` starts at the beginning";
                refuse_existing(storage, &paths, hint)?;
                Ok(false)
            }
            Earlier::Resume => {
                let past = self.past(storage)?;
                if past.as_ref().and_then(|past| past.point.as_ref()).is_some_and(|point| point.is_complete) {
                    return self.complete_names(storage);
                }
                if past.is_none() && storage.exists(&partial) {
                    return Err(Failure {
                        message: format!(
                            "`{}` has no journal: a run cannot go on with it",
                            partial.display()
                        ),
                        hint: "`--force` starts at the beginning".into(),
                    }
                    .into());
                }
                Ok(self.is_complete(storage) && past.is_none())
            }
        }
    }

    /// Gives complete files their names, where that is all that is missing. False where they are gone.
    fn complete_names<S: Storage>(&self, storage: &S) -> anyhow::Result<bool> {
        let named = [(self.rejects.as_ref(), None), (Some(&self.output), self.assembly.as_deref())];
        for (path, assembly) in named.into_iter().filter_map(|(path, assembly)| Some((path?, assembly))) {
            let partial = with_suffix(path, ".partial");
            if storage.exists(&partial) {
                appear(storage, &partial, path, assembly)?;
            }
        }
        if !self.is_complete(storage) {
            return Ok(false);
        }
        storage.remove(&self.journal()).with_context(|| cannot_write(&self.journal()))?;
        Ok(true)
    }

    fn past<S: Storage>(&self, storage: &S) -> anyhow::Result<Option<Past>> {
        let path = self.journal();
        Past::read(storage, &path).with_context(|| format!("cannot read `{}`", path.display()))
    }
}

/// How often a point is recorded at most: the work that a killed run loses, against waiting for the disk.
const POINT_INTERVAL: Duration = Duration::from_secs(2);

/// The files of a run that is under way.
pub(super) struct RunFiles<S: Storage> {
    rows: Output<S>,
    rejects: Option<PartialFile<S>>,
    rejects_path: Option<PathBuf>,
    assembly: Option<Arc<dyn Assembly>>,
    /// `None` where a run cannot go on: its output is a stream, or its input is.
    journal: Option<Journal<S>>,
    sources: Vec<Arc<Source>>,
    /// The last place after which everything written is whole.
    reached: Option<Point>,
    recorded: Instant,
    interval: Duration,
    /// Time that earlier runs have spent, and when this one began.
    seconds_before: f64,
    started: Instant,
}

impl<S: Storage> RunFiles<S> {
    /// Files without a journal.
    pub fn without_journal(
        rows: Output<S>,
        rejects: Option<PartialFile<S>>,
        assembly: Option<Arc<dyn Assembly>>,
    ) -> Self {
        RunFiles {
            rows,
            rejects,
            rejects_path: None,
            assembly,
            journal: None,
            sources: Vec::new(),
            reached: None,
            recorded: Instant::now(),
            interval: POINT_INTERVAL,
            seconds_before: 0.0,
            started: Instant::now(),
        }
    }

    /// Files with a journal, and the point from which the run goes on.
    ///
    /// # Errors
    ///
    /// When something that decides the output has changed since the earlier run: each change is named.
    pub fn with_journal(
        storage: S,
        paths: &Paths,
        earlier: Earlier,
        identity: Identity,
        sources: &[Arc<Source>],
    ) -> anyhow::Result<(Self, Option<Point>)> {
        let mut rows = PartialFile::new(storage.clone(), &paths.output, earlier.existing())?;
        let open = |path: &PathBuf| PartialFile::new(storage.clone(), path, earlier.existing());
        let mut rejects = paths.rejects.as_ref().map(open).transpose()?;
        let past = match earlier {
            Earlier::Resume => paths.past(&storage)?,
            Earlier::Refuse | Earlier::Force => None,
        };
        let mut journal = Journal::new(storage, paths.journal(), identity);
        let mut point = None;
        if let Some(mut past) = past {
            // A complete run whose files are gone is one to begin again.
            point = past.point.take().filter(|point| !point.is_complete);
            if let Some(point) = &point {
                let changes = changes(&past, point, &journal, paths, sources)?;
                refuse_changes(&changes, &paths.output)?;
                journal.go_on(&past).with_context(|| cannot_write(&paths.journal()))?;
                if point.output > 0 {
                    rows.go_on(point.output)?;
                }
                if let (Some(rejects), 1..) = (&mut rejects, point.rejects) {
                    rejects.go_on(point.rejects)?;
                }
            }
        }
        let files = RunFiles {
            journal: Some(journal),
            rejects_path: paths.rejects.clone(),
            sources: sources.to_vec(),
            seconds_before: point.as_ref().map_or(0.0, |point| point.seconds),
            reached: point.clone(),
            ..Self::without_journal(Output::File(rows), rejects, paths.assembly.clone())
        };
        Ok((files, point))
    }

    /// Writes a row of output.
    pub fn write_row(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.start()?;
        self.rows.write_all(bytes)
    }

    /// Writes the report of a rejected row, if reports are written.
    pub fn write_reject(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.start()?;
        match &mut self.rejects {
            Some(rejects) => rejects.writer()?.write_all(bytes),
            None => Ok(()),
        }
    }

    /// Whether reports are written.
    pub fn has_rejects(&self) -> bool {
        self.rejects.is_some()
    }

    /// Marks the end of what one line of the input gave. Now and then, what was written is made to last.
    pub fn end_line(&mut self, position: &Position, tally: &Tally) -> io::Result<()> {
        let is_whole = self.rows.end_row()?;
        if !is_whole || self.journal.is_none() {
            return Ok(());
        }
        let Output::File(rows) = &mut self.rows else { return Ok(()) };
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
    pub fn flush(&mut self) -> io::Result<()> {
        self.rows.flush()
    }

    /// Time that was spent on this output, in this run and those that it goes on with.
    pub fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    /// Whether a run can go on with these files.
    pub fn is_resumable(&self) -> bool {
        self.journal.is_some()
    }

    /// Ends a run that cannot finish: all that can be is written and made to last, and what there is is said.
    pub fn stop(mut self, tally: &Tally) -> String {
        let mut written = self.record(false);
        let rows = counted(tally.rows_out, "row");
        match &mut self.rows {
            _ if tally.rows_out == 0 => "stopped before the first row".into(),
            Output::Stream(writer) => {
                // A failure here is no news: there is one already.
                let _ = writer.flush();
                format!("stopped after {rows}")
            }
            Output::File(file) => {
                // So that what there is can be read; going on cuts it off and makes the part whole.
                written = written.and_then(|()| file.complete());
                let partial = file.partial().display();
                match written {
                    Ok(()) => format!("stopped after {rows}, kept in `{partial}`"),
                    Err(_) => {
                        format!("stopped after {rows}, of which `{partial}` holds what could be written")
                    }
                }
            }
        }
    }

    /// Completes the files: everything is written for good, then they get their names.
    pub fn finish(mut self, position: Position, tally: &Tally) -> anyhow::Result<()> {
        self.start().context("cannot write the output")?;
        if let Output::File(rows) = &mut self.rows {
            rows.complete().with_context(|| cannot_write(rows.partial()))?;
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.complete().with_context(|| cannot_write(rejects.partial()))?;
        }
        if self.journal.is_some() {
            self.reached = Some(Point { position, tally: tally.clone(), ..Point::default() });
            self.record(true).context("cannot write the journal")?;
        }
        if let Some(rejects) = self.rejects {
            rejects.appear(None)?;
        }
        match self.rows {
            Output::Stream(_) => self.rows.finish()?,
            Output::File(rows) => rows.appear(self.assembly.as_deref())?,
        }
        self.journal.map_or(Ok(()), Journal::remove).context("cannot remove the journal")
    }

    /// Begins the journal, after anything that it does not know of is gone and before there is anything that it has to
    /// know of.
    fn start(&mut self) -> io::Result<()> {
        let Some(journal) = self.journal.as_mut().filter(|journal| !journal.has_begun()) else {
            return Ok(());
        };
        if let Output::File(rows) = &mut self.rows {
            rows.discard_earlier()?;
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.discard_earlier()?;
        }
        journal.start()
    }

    /// Makes what was reached last, and records it.
    fn record(&mut self, is_complete: bool) -> io::Result<()> {
        let (Some(journal), Some(reached), Output::File(rows)) =
            (&mut self.journal, &self.reached, &mut self.rows)
        else {
            return Ok(());
        };
        if !journal.has_begun() {
            // Rows were rejected and nothing was written: there is nothing that could be lost.
            return Ok(());
        }
        let mut point = Point {
            rejects_path: self.rejects_path.clone(),
            seconds: self.seconds_before + self.started.elapsed().as_secs_f64(),
            is_complete,
            ..reached.clone()
        };
        if !is_complete {
            if point.output > 0 {
                rows.sync()?;
            }
            if let (Some(rejects), 1..) = (&mut self.rejects, point.rejects) {
                rejects.sync()?;
            }
            point.sample = journal::sample(&self.sources[point.position.file].path, point.position.raw)?;
        }
        journal.record(&point)?;
        self.recorded = Instant::now();
        Ok(())
    }
}

/// What has changed since the run that `past` tells of, each in words.
fn changes<S: Storage>(
    past: &Past,
    point: &Point,
    journal: &Journal<S>,
    paths: &Paths,
    sources: &[Arc<Source>],
) -> anyhow::Result<Vec<String>> {
    let mut changes = journal.identity().changes_since(&past.identity);
    if point.tally.rejected > 0 && point.rejects_path != paths.rejects {
        let shown = |path: &Option<PathBuf>| {
            path.as_ref().map_or("not set".to_string(), |path| format!("`{}`", path.display()))
        };
        changes.push(format!(
            "--rejects was {} and is {}",
            shown(&point.rejects_path),
            shown(&paths.rejects)
        ));
    }
    if changes.is_empty() {
        let source = &sources[point.position.file];
        let sample = journal::sample(&source.path, point.position.raw)
            .with_context(|| format!("cannot read {}", source.name()))?;
        if sample != point.sample {
            let end = point.position.raw;
            changes.push(format!("what {} holds before byte {end} is not what was read", source.name()));
        }
    }
    Ok(changes)
}

fn refuse_changes(changes: &[String], output: &Path) -> anyhow::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    Err(Failure {
        message: format!("cannot go on with `{}`: {}", output.display(), changes.join("; ")),
        hint: "call it as it was called before, or start at the beginning with `--force`".into(),
    }
    .into())
}

#[cfg(test)]
mod tests;
