//! Plots, tables and one-file HTML pages for the results of experiments. This crate depends on neither `sparsevd` nor
//! dfdx.
//!
//! | you need | use |
//! |---|---|
//! | a figure as SVG text, in light and dark mode | [`plots`] |
//! | a table for the terminal and for a page | [`Table`] |
//! | one HTML file with everything inside it | [`Report`] |
//! | an SVG or JSON file, written atomically | [`write_svg`], [`write_json`] |

mod page;
pub mod plots;
mod table;
mod text;

pub use page::{Report, ReportError, write_json, write_svg};
pub use table::{Align, Table};

/// The code of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
