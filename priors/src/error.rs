//! What a prior's constructor refuses.

/// A hyper-parameter that no prior can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A scale that is zero, negative, infinite or NaN.
    #[error("{prior}: {name} = {value}; it must be positive and finite")]
    NotPositive {
        /// The prior that was asked for.
        prior: &'static str,
        /// The hyper-parameter.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// A weight outside the open interval (0, 1), or NaN.
    #[error("{prior}: {name} = {value}; it must lie strictly between 0 and 1")]
    NotAFraction {
        /// The prior that was asked for.
        prior: &'static str,
        /// The hyper-parameter.
        name: &'static str,
        /// What was given.
        value: f64,
    },
}

pub(crate) fn positive(prior: &'static str, name: &'static str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err(Error::NotPositive { prior, name, value }) }
}

pub(crate) fn fraction(prior: &'static str, name: &'static str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err(Error::NotAFraction { prior, name, value }) }
}

#[cfg(test)]
mod tests {
    use super::Error::{NotAFraction, NotPositive};
    use crate::{Gaussian, Laplace, ScaleMixture, StudentT};

    #[test]
    fn constructors_refuse_what_is_not_a_scale() {
        for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(matches!(Gaussian::new(bad), Err(NotPositive { name: "sigma", .. })));
            assert!(matches!(Laplace::new(bad), Err(NotPositive { name: "b", .. })));
            assert!(matches!(StudentT::new(bad, 1.0), Err(NotPositive { name: "nu", .. })));
            assert!(matches!(StudentT::new(1.0, bad), Err(NotPositive { name: "scale", .. })));
            assert!(matches!(ScaleMixture::new(0.5, bad, 1.0), Err(NotPositive { name: "sigma1", .. })));
            assert!(matches!(ScaleMixture::new(0.5, 1.0, bad), Err(NotPositive { name: "sigma2", .. })));
        }
        for bad in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(matches!(ScaleMixture::new(bad, 1.0, 0.1), Err(NotAFraction { name: "pi", .. })));
        }
    }
}
