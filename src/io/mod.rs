//! Networks in files: posteriors of this library, and means from any safetensors file.

mod posterior_file;
pub(crate) mod scalars;
pub(crate) mod sound;
mod transfer;

pub use posterior_file::{
    PosteriorAbout, load_means, load_posterior, means_from_bytes, posterior_about, posterior_from_bytes,
    posterior_to_bytes, save_posterior, save_posterior_with,
};
pub use transfer::copy_means;
