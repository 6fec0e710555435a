//! What the examples share that train one network of images on one data set.

pub mod args;
pub mod output;
pub mod resume;
pub mod run;
pub mod small;
pub mod stop;

use std::error::Error;
use std::process::ExitCode;

/// What the process ends with; an error is printed.
pub fn finish(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
