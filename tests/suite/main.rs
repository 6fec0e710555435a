//! The behaviour of the library, in one program: it links dfdx once.

mod common;
mod compact;
mod conv;
mod corpus;
#[cfg(feature = "cuda")]
mod cuda;
mod defaults;
mod faults;
mod fused_kl;
mod fused_linear;
mod gradient_variance;
mod gradients;
mod graphs;
mod house;
mod image_nets;
mod network;
mod noise;
mod own_module;
mod pool;
mod posterior_file;
mod resume;
mod training;
mod transfer;
