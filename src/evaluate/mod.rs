//! Evaluation: predictions with chosen weights, and the variance of gradients.

mod gradient_variance;
mod predict;

pub use gradient_variance::{GradientVariance, Variance, gradient_variance};
pub use predict::{Classifier, Evaluate, predict};
pub(crate) use predict::{batch, fits, inputs};
