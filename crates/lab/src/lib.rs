//! The frame of experiments: settings, training runs, records, tables, figures and pages.
//!
//! | | |
//! |---|---|
//! | [`args`] | the settings that all experiments have, and the data set that they name |
//! | [`size`] | experiments on images of several sizes |
//! | [`desk`] | training runs one after another or in parallel; Ctrl-C and `--resume` |
//! | [`folder`] | the folder of a run: locked, and no earlier results lost |
//! | [`train`] | one training run, with checkpoints and scores |
//! | [`record`], [`results`] | the numbers of a run, and the results file |
//! | [`columns`], [`table`] | tables over seeds, the same in the terminal, on a page and in the notes |
//! | [`markdown`] | tables in the notes, regenerated |
//! | [`threads`] | the threads of a training run, on a CPU or with a GPU |
//! | [`curves`] | figures over seeds |
//! | [`page`] | results.json, figures and report.html in the folder of a run |
//! | [`seeds`] | one network with several seeds, and all of the above |
//! | [`small`] | a network after compaction |
//! | [`lower`] | a network pruned at lower thresholds |

pub mod args;
pub mod columns;
pub mod curves;
pub mod desk;
pub mod folder;
mod leftovers;
pub mod lower;
pub mod markdown;
pub mod page;
pub mod record;
pub mod results;
pub mod resume;
pub mod seeds;
mod seeds_figures;
pub mod size;
pub mod small;
pub mod stop;
pub mod table;
pub mod threads;
pub mod train;

use std::process::ExitCode;

use crate::record::Record;

/// The error of an experiment, of any type.
pub type Failure = Box<dyn std::error::Error>;

/// Reports the records of an experiment, even if it failed or was stopped.
///
/// # Errors
/// The experiment's error, or else the report's.
pub fn reported(
    outcome: Result<(), Failure>,
    records: Vec<Record>,
    report: impl FnOnce(Vec<Record>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if records.is_empty() && (outcome.is_err() || stop::exit_code().is_some()) {
        return outcome;
    }
    let told = report(records);
    outcome.and(told)
}

/// The exit code of the process: 0, 1 for an error, which is printed, or 130 after Ctrl-C and 143 after SIGTERM, when
/// it prints how to resume.
pub fn finish(result: Result<(), Failure>) -> ExitCode {
    match (result, stop::exit_code()) {
        (Err(error), _) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        (Ok(()), Some(code)) => {
            println!("{}", resume::how_to_resume());
            ExitCode::from(code)
        }
        (Ok(()), None) => ExitCode::SUCCESS,
    }
}
