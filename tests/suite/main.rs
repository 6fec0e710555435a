//! The behaviour of networks: training, files, pruning, errors. The computations of layers are tested in
//! `tests/kernels`: two programs, so that two cores compile them.

#[path = "../common/mod.rs"]
mod common;
mod compact;
mod corpus;
#[cfg(feature = "cuda")]
mod cuda;
mod defaults;
mod faults;
mod groups;
mod house;
mod image_nets;
mod network;
mod own_module;
mod own_posterior;
mod posterior_file;
mod resume;
mod training;
mod transfer;
