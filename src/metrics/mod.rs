//! Accuracy, calibration and uncertainty of predictions.
//!
//! [`Predictions`] are class probabilities from one forward pass, or averaged over passes with sampled weights;
//! [`Predictions::score`] compares them with the labels.
//!
//! ```
//! use sparsevd::metrics::Predictions;
//!
//! let logits = [2.0, 0.0, 0.0, /* second example */ 0.0, 1.0, 0.0];
//! let metrics = Predictions::from_logits(&logits, 3)?.score(&[0, 2])?;
//! assert_eq!(metrics.error, 0.5);
//! # Ok::<(), sparsevd::metrics::MetricsError>(())
//! ```

mod auroc;
mod predictions;
mod score;

pub use auroc::auroc;
pub use predictions::Predictions;
pub use score::{ECE_BINS, Metrics};

/// An error in logits or labels.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// No classes, no examples, or no samples.
    #[error("no {what}; predictions need at least one")]
    Empty {
        /// `classes`, `examples` or `samples`.
        what: &'static str,
    },
    /// A number of logits that is not a multiple of the number of classes.
    #[error("sample {sample} has {logits} logits, which are not rows of {classes} classes; is the class count right?")]
    Ragged {
        /// The forward pass, from 0.
        sample: usize,
        /// Its number of logits.
        logits: usize,
        /// The number of classes, which is the number of logits per row.
        classes: usize,
    },
    /// Forward passes of different sizes.
    #[error("sample {sample} has {found} logits, sample 0 has {expected}; all samples must be of the same examples")]
    Samples {
        /// The forward pass that differs, from 0.
        sample: usize,
        /// Logits of sample 0.
        expected: usize,
        /// Its logits.
        found: usize,
    },
    /// A logit that is NaN or infinite.
    #[error("logit of class {class} in row {row} of sample {sample} is {value}; did training diverge?")]
    NonFinite {
        /// The forward pass, from 0.
        sample: usize,
        /// The example, from 0.
        row: usize,
        /// The class, from 0.
        class: usize,
        /// The value.
        value: f32,
    },
    /// A number of labels that differs from that of examples.
    #[error("{labels} labels for {examples} predictions; give one label for each")]
    Count {
        /// The number of examples predicted.
        examples: usize,
        /// The number of labels given.
        labels: usize,
    },
    /// A label that is not a class.
    #[error("label {label} of row {row} is not a class; the {classes} classes are 0..{classes}")]
    Label {
        /// The example, from 0.
        row: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
}
