//! What the experiments of this repository share.
//!
//! | | |
//! |---|---|
//! | [`args`] | the settings that all have, and the data they name |
//! | [`size`] | experiments on images of several sizes |
//! | [`desk`] | trainings one after the other or side by side; Ctrl-C and `--resume` |
//! | [`folder`] | the folder of a run: locked, and no earlier results lost |
//! | [`train`] | one training, with checkpoints and scores |
//! | [`record`], [`results`] | what comes of it, and its file |
//! | [`columns`], [`table`] | tables over seeds, the same in the terminal, on a page and in the notes |
//! | [`markdown`] | tables in the notes, made anew |
//! | [`curves`] | figures over seeds |
//! | [`page`] | results.json, figures and report.html in the folder of a run |
//! | [`seeds`] | one network with several seeds, and all of the above |
//! | [`small`] | what is left of a network after compaction |
//! | [`lower`] | what would be left at lower thresholds |

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
pub mod size;
pub mod small;
pub mod stop;
pub mod table;
pub mod train;

use std::process::ExitCode;

use crate::record::Record;

/// What an experiment fails with: what to tell, of whatever kind.
pub type Failure = Box<dyn std::error::Error>;

/// Reports what there is, also of an experiment that failed on its way, or was stopped.
///
/// # Errors
/// The experiment's, first of all; those of the report.
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

/// What the process ends with: 0, 1 for an error, which is printed, or 130 after Ctrl-C and 143 after SIGTERM; then it
/// says how to go on.
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
