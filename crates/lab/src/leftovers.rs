//! The files that a run leaves in its folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::results::Results;

/// The names of the network files of experiments, apart from those in `trainings`.
const NETWORKS: [&str; 4] =
    ["training.safetensors", "posterior.safetensors", "compact.safetensors", "compact-posterior.safetensors"];

/// True if the folder has results or checkpoints.
pub(crate) fn has_results(path: &Path) -> bool {
    path.join("results.json").exists() || !networks(path).is_empty() || !checkpoints(path).is_empty()
}

/// Removes the files of a run, and nothing else.
pub(crate) fn remove_run(path: &Path) {
    let figures = Results::read(path.join("results.json")).map(|results| results.figure_files()).unwrap_or_default();
    let pages = figures.iter().map(String::as_str).chain(["results.json", "report.html"]).map(|name| path.join(name));
    remove(pages.chain(networks(path)).chain(checkpoints(path)));
    let _ = fs::remove_dir(path.join("trainings")); // unless there is something else in it
    remove_seeds(path, |_| true);
}

/// Removes the networks of some seeds, from folders such as `seed-0` and `seed-0-beta-0.1`.
pub(crate) fn remove_seeds(path: &Path, which: impl Fn(u64) -> bool) {
    for folder in entries(path) {
        let seed = || folder.file_name()?.to_str()?.strip_prefix("seed-")?.split('-').next()?.parse().ok();
        if seed().is_some_and(&which) {
            remove(networks(&folder));
            let _ = fs::remove_dir(&folder);
        }
    }
}

fn remove(files: impl IntoIterator<Item = PathBuf>) {
    files.into_iter().for_each(|file| drop(fs::remove_file(file))); // perhaps it is gone already
}

fn networks(folder: &Path) -> Vec<PathBuf> {
    NETWORKS.iter().map(|name| folder.join(name)).filter(|file| file.exists()).collect()
}

fn checkpoints(path: &Path) -> Vec<PathBuf> {
    let ours = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "safetensors" || kind == "began");
    entries(&path.join("trainings")).filter(ours).collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}
