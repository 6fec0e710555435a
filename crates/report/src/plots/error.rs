//! What cannot be drawn.

/// Why a figure was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// Nothing is left to draw.
    #[error("figure `{title}`: no value that can be drawn among {given} in {series} series; {hint}")]
    Nothing {
        /// The figure.
        title: String,
        /// Series given.
        series: usize,
        /// Values given.
        given: usize,
        /// What can be drawn.
        hint: &'static str,
    },
    /// A histogram of no bins, or of more than can be told apart.
    #[error("figure `{title}`: {bins} bins; choose 1 to {limit}")]
    Bins {
        /// The figure.
        title: String,
        /// Bins asked for.
        bins: usize,
        /// The most bins accepted.
        limit: usize,
    },
    /// A mask whose number of weights is not rows x columns, or zero.
    #[error("mask `{name}`: {kept} flags for {rows} x {cols} weights; give one flag for each, and at least one")]
    Mask {
        /// The layer.
        name: String,
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
        /// Flags given.
        kept: usize,
    },
    /// A mask whose columns are not the pixels of the image.
    #[error("mask `{name}`: {cols} columns are not images of {dims:?} (channels, height, width)")]
    Image {
        /// The layer.
        name: String,
        /// Columns.
        cols: usize,
        /// Channels, height, width.
        dims: [usize; 3],
    },
}
