//! Scaffold: declares the modules.
pub mod data;
pub mod metrics;
pub mod plots;
pub mod report;
mod text;
