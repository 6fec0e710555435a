//! Scaffold: declares the modules.
pub mod data;
