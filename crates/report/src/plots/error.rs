//! The errors of figures.

/// A figure that cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// No value can be drawn.
    #[error("figure `{title}`: no value that can be drawn among {given} in {series} series; {hint}")]
    Nothing {
        /// The figure.
        title: String,
        /// The number of series given.
        series: usize,
        /// The number of values given.
        given: usize,
        /// The condition for values.
        hint: &'static str,
    },
    /// A histogram of no bins, or of more than can be distinguished.
    #[error("figure `{title}`: {bins} bins; choose 1 to {limit}")]
    Bins {
        /// The figure.
        title: String,
        /// The number of bins given.
        bins: usize,
        /// The largest number of bins accepted.
        limit: usize,
    },
    /// A mask whose number of weights is not rows × columns, or is zero.
    #[error("mask `{name}`: {kept} flags for {rows} × {cols} weights; give one flag for each, and at least one")]
    Mask {
        /// The layer.
        name: String,
        /// The number of rows.
        rows: usize,
        /// The number of columns.
        cols: usize,
        /// The number of flags given.
        kept: usize,
    },
    /// A mask whose columns are not the pixels of the image.
    #[error("mask `{name}`: {cols} columns are not images of {dims:?} (channels, height, width)")]
    Image {
        /// The layer.
        name: String,
        /// The number of columns.
        cols: usize,
        /// Channels, height, width.
        dims: [usize; 3],
    },
}
