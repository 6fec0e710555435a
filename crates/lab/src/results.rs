//! The file of an experiment: its records, with the configuration that made them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sparsevd::data::{Layout, Split};
use sparsevd_report::{ReportError, write_json};

use crate::record::Record;

/// All that an experiment found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Its name, which is also the name of its file among the notes.
    pub experiment: String,
    /// What was typed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Of this library.
    #[serde(default)]
    pub version: String,
    /// Where it ran.
    #[serde(default)]
    pub machine: String,
    /// When it was over, `2026-11-23`.
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
    /// One a training or measurement.
    pub records: Vec<Record>,
}

/// A file of results that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// Not there, or not to be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not of this format.
    #[error("{path} is not a file of results: {source}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}

impl Results {
    /// Of the process that asks, today.
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

    /// The same, of an experiment that can be made on several data sets: named after both, `ablation-mnist`.
    pub fn on<L: Layout>(
        experiment: &str,
        configuration: &impl Serialize,
        split: &Split<L>,
        records: Vec<Record>,
    ) -> Self {
        let set = split.train().name().to_lowercase().replace("optdigits", "digits");
        Results::new(&format!("{experiment}-{set}"), configuration, split, records)
    }

    /// The names of the figures' files; none that would lie elsewhere, as a file from elsewhere may say.
    pub fn figure_files(&self) -> Vec<String> {
        let plain = |name: &&String| !name.contains(['/', '\\']);
        self.figures.iter().filter(plain).map(|name| format!("{name}.svg")).collect()
    }

    /// From a file.
    ///
    /// # Errors
    /// [`ResultsError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ResultsError> {
        let path = path.as_ref();
        let text = std::fs::read(path).map_err(|source| ResultsError::Read { path: path.into(), source })?;
        serde_json::from_slice(&text).map_err(|source| ResultsError::Parse { path: path.into(), source })
    }

    /// Into a file.
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

/// `2-core AMD EPYC, AVX2`, as far as it can be found out; rounding, and so the last digits, differ with the vectors.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    format!("{cores}-core {}, {VECTORS}", model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()))
}

/// The widest that this was built for.
const VECTORS: &str = if cfg!(target_feature = "avx512f") {
    "AVX-512"
} else if cfg!(target_feature = "avx2") {
    "AVX2"
} else {
    std::env::consts::ARCH
};
