//! Renews the tables in README.md, paper-notes and the book from the notes' results.
//!
//! ```sh
//! cargo run --example notes                                  # rewrites the tables
//! cargo run --example notes -- --check                       # only lists those that are out of date
//! cargo run --example notes -- --publish runs/ablation       # copies a run's results and figures first
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use sparsevd_lab::markdown::renew;
use sparsevd_lab::results::Results;
use sparsevd_lab::{Failure, finish};

/// Rewrites the tables in README.md, paper-notes/*.md and book/src/*.md from paper-notes/results/*.json.
///
/// A table stands between two comments:
///
/// <!-- table lenet300+paper of LeNet-300-100: network error compression -->
///
/// <!-- end -->
///
/// Before the colon are the result files, joined by `+`, each with `=NAME` to put a name before its labels; then, for a
/// part of the records, `of` and the prefixes of their labels, joined by `+`, with `_` for a space. After the colon are
/// the name of the first column, which has the labels, and the names of the numbers. `seed` among them gives a row for
/// each seed.
#[derive(Clone, Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Args {
    /// Changes nothing, and fails if a table differs from its results
    #[arg(long, conflicts_with = "publish")]
    check: bool,
    /// First copies results.json and the figures of this folder into paper-notes/results, under this name [default: the
    /// experiment's]
    #[arg(long, value_name = "RUN[=NAME]")]
    publish: Vec<String>,
    /// The repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
}

fn main() -> ExitCode {
    finish(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let (notes, results) = (args.root.join("paper-notes"), args.root.join("paper-notes/results"));
    args.publish.iter().try_for_each(|run| publish(run, &results))?;
    let mut pages = vec![args.root.join("README.md")];
    pages.extend(files(&notes, "md")?);
    pages.extend(files(&args.root.join("book/src"), "md")?);
    let mut stale = Vec::new();
    for page in pages {
        let text =
            std::fs::read_to_string(&page).map_err(|error| format!("cannot read {}: {error}", page.display()))?;
        links(&page, &text)?;
        let renewed = renew(&text, &results).map_err(|error| format!("{}: {error}", page.display()))?;
        if renewed == text {
            continue;
        }
        stale.push(page.display().to_string());
        if !args.check {
            sparsevd::infer::file::replace(&page, renewed.as_bytes())?;
            println!("{}: renewed", page.display());
        }
    }
    if args.check && !stale.is_empty() {
        return Err(format!("out of date: {}; `cargo run --example notes` renews them", stale.join(", ")).into());
    }
    Ok(())
}

/// Checks that the files that a page links to exist.
fn links(page: &Path, text: &str) -> Result<(), Failure> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let folder = page.parent().unwrap_or(Path::new("."));
    let inside = |target: &&str| !target.is_empty() && !target.contains("://");
    match targets.filter(inside).find(|target| !folder.join(target).exists()) {
        Some(target) => Err(format!("{}: there is no {target}", page.display()).into()),
        None => Ok(()),
    }
}

/// Copies results under a name, without their curves, and figures under that name joined with their own.
fn publish(run: &str, results: &Path) -> Result<(), Failure> {
    let named = run.rsplit_once('=').filter(|_| !Path::new(run).is_dir());
    let (run, name) = named.map_or((run, None), |(run, name)| (run, Some(name)));
    let run = Path::new(run);
    let mut found = Results::read(run.join("results.json"))?;
    let asked =
        |setting: &str| found.configuration.get(setting).is_some_and(|value| !value.is_null() && value != false);
    if let Some(setting) = ["quick", "validate"].into_iter().find(|setting| asked(setting)) {
        return Err(format!("{}: a run with --{setting} cannot be published; run without it", run.display()).into());
    }
    if let Some(record) = found.records.iter().find(|record| record.unfinished) {
        return Err(format!("{}: {}, seed {}, is unfinished", run.display(), record.label, record.seed).into());
    }
    if found.figures.is_empty() && !files(run, "svg")?.is_empty() {
        return Err(format!("{}: its results.json does not list its figures; run it again", run.display()).into());
    }
    found.records.iter_mut().for_each(|record| record.curves.clear()); // they are in the figures
    found.command.clear(); // the configuration has the same, without a machine's paths
    if let Some(settings) = found.configuration.as_object_mut() {
        ["data", "out", "resume", "overwrite", "threads", "checkpoint_every"]
            .iter()
            .for_each(|name| drop(settings.remove(*name)));
    }
    let name = name.unwrap_or(&found.experiment);
    found.write(results.join(format!("{name}.json")))?;
    for figure in found.figure_files() {
        std::fs::copy(run.join(&figure), results.join(format!("{name}-{figure}")))?;
    }
    Ok(())
}

/// The files with this extension in a folder, by name.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    Ok(files)
}
