//! The folder of a run: one process at a time writes into it, and an earlier run's results are replaced only on
//! request.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::leftovers::{has_results, remove_run, remove_seeds};
use crate::results::{Results, now};
use crate::resume::command_line;

/// A folder that is locked for this process until it is dropped or the process ends.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// The treatment of an earlier run's results in the folder.
#[derive(Clone, Copy, Debug)]
pub struct Again {
    /// Resume from its checkpoints.
    pub resume: bool,
    /// Replace its results, even those of other settings.
    pub overwrite: bool,
}

/// A folder that this process cannot use.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process writes into it.
    #[error("{} belongs to a run that has not ended: {holder}. Wait for it, or give another --out", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
        /// Process, machine, start time and command, as far as known.
        holder: String,
    },
    /// It has results, and neither resuming nor replacing them was asked for.
    #[error(
        "{} has results of an earlier run{run}. Give another --out, --resume to resume from its checkpoints, or --overwrite \
         to replace it", path.display()
    )]
    Earlier {
        /// The folder.
        path: PathBuf,
        /// Its date, and the settings that differ.
        run: String,
    },
    /// It has results of other settings, which cannot be resumed.
    #[error(
        "{} has results of a run with other settings{run}. --resume needs the same settings, or more --seeds; give those, \
         another --out, or --resume --overwrite to reuse the training runs that fit and to replace the results", path.display()
    )]
    OtherSettings {
        /// The folder.
        path: PathBuf,
        /// Its date, and the settings that differ.
        run: String,
    },
    /// The system cannot use it.
    #[error("cannot use {} for results: {source}", path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The run that uses the folder, or used it last: the content of the locked file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Run {
    pid: u32,
    host: String,
    since: String,
    command: Vec<String>,
    experiment: String,
    configuration: Value,
}

/// The name of the locked file.
const FILE: &str = "run.json";
/// Settings that do not change results.
const MINOR: [&str; 5] = ["out", "resume", "overwrite", "threads", "checkpoint_every"];

impl Folder {
    /// Locks the folder, which is created if it does not exist, for an experiment with these settings. The lock is the
    /// system's: it ends with the process, even if that is killed. On a file system without locks there is no lock.
    ///
    /// An earlier run's results stay unless `again` says otherwise; those of a run with --quick are always replaced.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn claim(
        path: &Path,
        experiment: &str,
        again: Again,
        configuration: &impl Serialize,
    ) -> Result<Self, FolderError> {
        let run = Run {
            pid: std::process::id(),
            host: host(),
            since: now(),
            command: std::env::args().collect(),
            experiment: experiment.into(),
            configuration: serde_json::to_value(configuration).unwrap_or_default(),
        };
        let file = path.join(FILE);
        let system = |source| FolderError::System { path: file.clone(), source };
        fs::create_dir_all(path).map_err(system)?;
        let mut lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&file).map_err(system)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let holder = Run::read(&mut lock).map_or("by an unknown process".into(), |run| run.to_string());
                return Err(FolderError::Busy { path: path.into(), holder });
            }
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => return Err(system(error)),
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if has_results(path) {
            let earlier = Run::read(&mut lock).or_else(|| Run::of_results(path)).unwrap_or_default();
            earlier.make_way(path, &run, again)?;
        }
        run.write(&mut lock).map_err(system)?;
        Ok(Folder { path: path.into(), _lock: lock })
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes an earlier run's networks of other seeds, which could be mistaken for this run's.
    pub fn only_seeds(&self, seeds: Range<u64>) {
        remove_seeds(&self.path, |seed| !seeds.contains(&seed));
    }
}

impl Run {
    fn read(file: &mut File) -> Option<Self> {
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The run of an older folder, which has no such file.
    fn of_results(path: &Path) -> Option<Self> {
        let Results { date: since, command, configuration, .. } = Results::read(path.join("results.json")).ok()?;
        Some(Run { since, command, configuration, ..Run::default() })
    }

    fn write(&self, file: &mut File) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&text)?;
        file.sync_all()
    }

    /// Clears its folder for the results of another run, if that is allowed.
    fn make_way(&self, path: &Path, next: &Run, again: Again) -> Result<(), FolderError> {
        let differences = self.differences(next);
        let run = || {
            let since = if self.since.is_empty() { String::new() } else { format!(" of {}", self.since) };
            if differences.is_empty() { since } else { format!("{since} ({})", differences.join("; ")) }
        };
        let quick = self.configuration.get("quick").is_some_and(|quick| quick == true);
        match again {
            Again { resume: true, overwrite: true } => {}
            Again { resume: true, overwrite: false } if differences.is_empty() => {}
            Again { resume: true, overwrite: false } => {
                return Err(FolderError::OtherSettings { path: path.into(), run: run() });
            }
            Again { overwrite: true, .. } => remove_run(path),
            Again { .. } if quick => remove_run(path),
            Again { .. } => return Err(FolderError::Earlier { path: path.into(), run: run() }),
        }
        Ok(())
    }

    /// The settings that differ in another run, such as `epochs 60, now 30`. More seeds are not a difference, nor is a
    /// setting that this run did not have.
    fn differences(&self, next: &Run) -> Vec<String> {
        let mut differences = Vec::new();
        if !self.experiment.is_empty() && self.experiment != next.experiment {
            differences.push(format!("{}, now {}", self.experiment, next.experiment));
        }
        let (Some(before), Some(now)) = (self.configuration.as_object(), next.configuration.as_object()) else {
            return differences;
        };
        let changed = before.iter().filter(|(name, _)| !MINOR.contains(&name.as_str()));
        let changed = changed.filter_map(|(name, was)| Some((name, was, now.get(name)?)));
        let more = |name: &str, was: &Value, is: &Value| name == "seeds" && is.as_u64() >= was.as_u64();
        let changed = changed.filter(|(name, was, is)| was != is && !more(name, was, is));
        differences.extend(changed.map(|(name, was, is)| format!("{} {was}, now {is}", name.replace('_', "-"))));
        differences
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Run { pid, host, since, command, .. } = self;
        write!(f, "process {pid} on {host}, since {since}: `{}`", command_line(command))
    }
}

fn host() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_string());
    let known = kernel.or_else(|_| std::env::var("HOSTNAME")).or_else(|_| std::env::var("COMPUTERNAME"));
    known.unwrap_or_else(|_| "this machine".into())
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
