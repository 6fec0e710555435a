//! The operations of a trained network, which [`compact`](crate::compact) reads.

use serde::{Deserialize, Serialize};

use crate::Window;

/// One operation of a trained network at evaluation. Weights that are exactly zero count as pruned.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `y = W x + b`; reads an image as its pixels, channel by channel.
    Linear {
        /// `(outputs, inputs)`, row by row.
        weights: Vec<f64>,
        /// One per output.
        bias: Vec<f64>,
        /// The largest rounding error that the weights may have, if it is known: the posterior's standard deviation σ,
        /// where σ² is the harmonic mean of the variances of the weights that are kept.
        sigma: Option<f64>,
    },
    /// A convolution.
    Conv2d {
        /// `(outputs, channels that an output reads, kernel, kernel)`, row by row.
        weights: Vec<f64>,
        /// One per output channel.
        bias: Vec<f64>,
        /// As in [`Linear`](Op::Linear).
        sigma: Option<f64>,
        /// Number of groups of channels, each with its own weights.
        groups: usize,
        /// The window of pixels that an output reads.
        window: Window,
    },
    /// `y = factor x + shift`, channel by channel: batch norm with its running moments.
    Scale {
        /// One per channel.
        factor: Vec<f64>,
        /// One per channel.
        shift: Vec<f64>,
    },
    /// An activation function, applied to each number.
    Activation(Activation),
    /// A pool: one number for each window.
    Pool(Pool),
    /// An image as its pixels, channel by channel.
    Flatten,
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`; NaN stays NaN.
    Relu,
    /// `tanh x`.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

impl Activation {
    /// The function's value.
    #[inline(always)]
    pub fn of(self, x: f32) -> f32 {
        match self {
            Activation::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        }
    }
}

/// One number for each window of each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The kind of pool.
    pub kind: PoolKind,
    /// The windows.
    pub window: Window,
}

/// The number that a pool computes from a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The largest number; pixels outside the image never win, NaN always does.
    Max,
    /// The mean; pixels outside the image count as zeros.
    Mean,
}
