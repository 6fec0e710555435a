//! What the examples share that train one network of images on one data set.

pub mod args;
pub mod output;
pub mod run;
pub mod stop;
