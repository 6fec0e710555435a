//! The file of an experiment: its records, with the configuration that made them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sparsevd::data::{Layout, Split};
use sparsevd_report::{ReportError, write_json};

use crate::record::Record;

/// The results of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Its name, which is also the name of its file among the notes.
    pub experiment: String,
    /// The command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The version of this library.
    #[serde(default)]
    pub version: String,
    /// The machine that it ran on.
    #[serde(default)]
    pub machine: String,
    /// The date of its end, such as `2026-11-23`.
    #[serde(default)]
    pub date: String,
    /// Name and sizes of the data set.
    #[serde(default)]
    pub data: Value,
    /// The settings.
    #[serde(default)]
    pub configuration: Value,
    /// The names of the figures beside it, without `.svg`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<String>,
    /// One record per training run or measurement.
    pub records: Vec<Record>,
}

/// A file of results that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A file that does not exist or cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file of another format.
    #[error("{path} is not a file of results: {source}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The problem, and its position.
        source: serde_json::Error,
    },
}

impl Results {
    /// Results of this process, with today's date.
    pub fn new<L: Layout>(
        experiment: &str,
        configuration: &impl Serialize,
        split: &Split<L>,
        records: Vec<Record>,
    ) -> Self {
        let (train, test) = (split.train(), split.test());
        Results {
            experiment: experiment.into(),
            command: std::env::args().collect(),
            version: env!("CARGO_PKG_VERSION").into(),
            machine: machine(),
            date: now().split('T').next().unwrap_or_default().into(),
            data: serde_json::json!({ "name": train.name(), "train": train.len(), "test": test.len() }),
            configuration: serde_json::to_value(configuration).unwrap_or_default(),
            figures: Vec::new(),
            records,
        }
    }

    /// The same for an experiment that runs on several data sets: it is named after both, such as `ablation-mnist`.
    pub fn on<L: Layout>(
        experiment: &str,
        configuration: &impl Serialize,
        split: &Split<L>,
        records: Vec<Record>,
    ) -> Self {
        let set = split.train().name().to_lowercase().replace("optdigits", "digits");
        Results::new(&format!("{experiment}-{set}"), configuration, split, records)
    }

    /// The names of the figures' files. Names that lead out of the folder, as in a file of unknown origin, are left
    /// out.
    pub fn figure_files(&self) -> Vec<String> {
        let plain = |name: &&String| !name.contains(['/', '\\']);
        self.figures.iter().filter(plain).map(|name| format!("{name}.svg")).collect()
    }

    /// Reads results from a file.
    ///
    /// # Errors
    /// [`ResultsError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ResultsError> {
        let path = path.as_ref();
        let text = std::fs::read(path).map_err(|source| ResultsError::Read { path: path.into(), source })?;
        serde_json::from_slice(&text).map_err(|source| ResultsError::Parse { path: path.into(), source })
    }

    /// Writes results into a file.
    ///
    /// # Errors
    /// [`ReportError::Write`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        write_json(path, self)
    }
}

/// The time, in UTC, `2026-11-23T10:15:00Z`.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The machine, such as `2-core AMD EPYC, AVX2`, as far as it is known. Rounding, and so the last digits, depend on the
/// vector instructions.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    format!("{cores}-core {}, {VECTORS}", model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()))
}

/// The widest vector instructions that this was built for.
const VECTORS: &str = if cfg!(target_feature = "avx512f") {
    "AVX-512"
} else if cfg!(target_feature = "avx2") {
    "AVX2"
} else {
    std::env::consts::ARCH
};
