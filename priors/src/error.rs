//! What a prior's constructor refuses, and so does a file.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

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

/// A number from a file that must be [`positive`].
pub(crate) fn positive_number<'de, D: Deserializer<'de>>(file: D) -> Result<f64, D::Error> {
    positive("prior", "scale", f64::deserialize(file)?).map_err(D::Error::custom)
}

/// The same where there may be none.
pub(crate) fn positive_or_none<'de, D: Deserializer<'de>>(file: D) -> Result<Option<f64>, D::Error> {
    let number = Option::deserialize(file)?;
    number.map(|x| positive("prior", "scale", x)).transpose().map_err(D::Error::custom)
}

/// A number from a file that must be a [`fraction`].
pub(crate) fn fraction_number<'de, D: Deserializer<'de>>(file: D) -> Result<f64, D::Error> {
    fraction("prior", "pi", f64::deserialize(file)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::Error;
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

    #[test]
    fn so_do_files() -> Result<(), Error> {
        fn read<'a, P: serde::Deserialize<'a>>(text: &'a str) -> Result<P, String> {
            serde_json::from_str(text).map_err(|error| error.to_string())
        }
        assert_eq!(read(r#"{"b":0.3}"#), Ok(Laplace::new(0.3)?));
        assert_eq!(read(r#"{"sigma":0.3}"#), Ok(Gaussian::new(0.3)?));
        assert_eq!(read(r#"{"sigma":null}"#), Ok(Gaussian::learned()));
        assert_eq!(read(r#"{"nu":2.0,"scale":0.5}"#), Ok(StudentT::new(2.0, 0.5)?));
        assert_eq!(read(r#"{"pi":0.5,"sigma1":1.0,"sigma2":0.1}"#), Ok(ScaleMixture::new(0.5, 1.0, 0.1)?));
        assert!(read::<Laplace>(r#"{"b":-1.0}"#).is_err_and(|e| e.contains("positive")));
        assert!(read::<Gaussian>(r#"{"sigma":0.0}"#).is_err_and(|e| e.contains("positive")));
        assert!(read::<StudentT>(r#"{"nu":0.0,"scale":0.5}"#).is_err_and(|e| e.contains("positive")));
        assert!(read::<ScaleMixture>(r#"{"pi":2.0,"sigma1":1.0,"sigma2":0.1}"#).is_err_and(|e| e.contains("between")));
        assert!(
            read::<ScaleMixture>(r#"{"pi":0.5,"sigma1":1.0,"sigma2":-0.1}"#).is_err_and(|e| e.contains("positive"))
        );
        Ok(())
    }
}
