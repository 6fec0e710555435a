//! Training: likelihoods, the ELBO, Adam, and the trainer with its checkpoints.

mod adam;
mod adam_state;
mod checkpoint;
mod checks;
mod codec;
mod elbo;
mod finite;
mod fit;
pub(crate) mod gaussian;
mod groups;
mod history;
mod likelihood;
mod run;
mod schedule;
mod trainer;

pub use adam::Adam;
pub use checkpoint::Checkpoints;
pub use elbo::{Elbo, Loss};
pub use fit::Trainable;
pub use groups::{Group, Parameters};
pub use history::{Epoch, History, Warning};
pub use likelihood::{GaussianLikelihood, categorical};
pub use schedule::{Schedule, WarmUp};
pub use trainer::Trainer;
