//! The errors of hyper-parameters, in constructors and in files.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// An invalid hyper-parameter of a prior or a posterior.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A scale that is zero, negative, infinite or NaN.
    #[error("{prior}: {name} = {value}; it must be positive and finite")]
    NotPositive {
        /// The prior.
        prior: &'static str,
        /// The hyper-parameter.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// A number for which single precision does not suffice.
    #[error(
        "{prior}: {name} = {value:e}; it must lie between {:e} and {:e}, so that the KL and its gradient stay within the \
         range of f32. Measure the weights in another unit",
        range[0],
        range[1]
    )]
    OutOfRange {
        /// The prior.
        prior: &'static str,
        /// The hyper-parameter.
        name: &'static str,
        /// The value given.
        value: f64,
        /// The smallest and the largest number allowed.
        range: [f64; 2],
    },
    /// A weight outside the open interval (0, 1), or NaN.
    #[error("{prior}: {name} = {value}; it must lie strictly between 0 and 1")]
    NotAFraction {
        /// The prior.
        prior: &'static str,
        /// The hyper-parameter.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// A dropout rate outside `[0, 1)`, or NaN.
    #[error("dropout rate {rate}; it must be at least 0 and less than 1")]
    NotARate {
        /// The value given.
        rate: f64,
    },
}

/// The range of a prior's scale, in the units of the weights. For every scale in it `θ² / s²` and `1 / s²` stay within
/// the range of `f32` for `|w|` up to 1e4, and so do the KL and its gradient.
pub(crate) const SCALES: [f64; 2] = [1e-15, 1e15];

/// `value`, if it is positive and within `range`.
pub(crate) fn within(range: [f64; 2], prior: &'static str, name: &'static str, value: f64) -> Result<f64, Error> {
    if !(value > 0.0 && value.is_finite()) {
        Err(Error::NotPositive { prior, name, value })
    } else if value < range[0] || value > range[1] {
        Err(Error::OutOfRange { prior, name, value, range })
    } else {
        Ok(value)
    }
}

/// `value`, if it can be a scale.
pub(crate) fn scale(prior: &'static str, name: &'static str, value: f64) -> Result<f64, Error> {
    within(SCALES, prior, name, value)
}

pub(crate) fn fraction(prior: &'static str, name: &'static str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err(Error::NotAFraction { prior, name, value }) }
}

/// A number from a file that must be a [`scale`].
pub(crate) fn scale_number<'de, D: Deserializer<'de>>(file: D) -> Result<f64, D::Error> {
    scale("prior", "scale", f64::deserialize(file)?).map_err(D::Error::custom)
}

/// A number from a file that must be a [`scale`], if there is one.
pub(crate) fn scale_or_none<'de, D: Deserializer<'de>>(file: D) -> Result<Option<f64>, D::Error> {
    let number = Option::deserialize(file)?;
    number.map(|x| scale("prior", "scale", x)).transpose().map_err(D::Error::custom)
}

/// A number from a file that must be a [`fraction`].
pub(crate) fn fraction_number<'de, D: Deserializer<'de>>(file: D) -> Result<f64, D::Error> {
    fraction("prior", "pi", f64::deserialize(file)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::Error;
    use super::Error::{NotAFraction, NotPositive, OutOfRange};
    use crate::{Gaussian, HorseshoeLike, Laplace, ScaleMixture, StudentT};

    #[test]
    fn constructors_refuse_what_is_not_a_scale() {
        for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(matches!(Gaussian::new(bad), Err(NotPositive { name: "sigma", .. })));
            assert!(matches!(Laplace::new(bad), Err(NotPositive { name: "b", .. })));
            assert!(matches!(HorseshoeLike::new(bad), Err(NotPositive { name: "tau", .. })));
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
    fn constructors_refuse_what_single_precision_cannot_serve() {
        for bad in [1e-20, 0.99e-15, 1.01e15, 1e300, f64::MIN_POSITIVE] {
            assert!(matches!(Gaussian::new(bad), Err(OutOfRange { name: "sigma", .. })));
            assert!(matches!(Laplace::new(bad), Err(OutOfRange { name: "b", .. })));
            assert!(matches!(HorseshoeLike::new(bad), Err(OutOfRange { name: "tau", .. })));
            assert!(matches!(HorseshoeLike::exact(bad), Err(OutOfRange { name: "tau", .. })));
            assert!(matches!(StudentT::new(bad, 1.0), Err(OutOfRange { name: "nu", .. })));
            assert!(matches!(StudentT::new(1.0, bad), Err(OutOfRange { name: "scale", .. })));
            assert!(matches!(ScaleMixture::new(0.5, bad, 1.0), Err(OutOfRange { name: "sigma1", .. })));
            assert!(matches!(ScaleMixture::new(0.5, 1.0, bad), Err(OutOfRange { name: "sigma2", .. })));
        }
        assert!(matches!(StudentT::new(0.19, 1.0), Err(OutOfRange { name: "nu", .. })));
        let told = ScaleMixture::new(0.5, 1.0, 1e-20).map_err(|error| error.to_string());
        assert!(told.is_err_and(|told| told.starts_with("ScaleMixture: sigma2 = 1e-20; it must lie between 1e-15 and 1e15")));
    }

    #[test]
    fn so_do_files() -> Result<(), Error> {
        fn read<P: serde::de::DeserializeOwned>(text: &str) -> Result<P, String> {
            serde_json::from_str(text).map_err(|error| error.to_string())
        }
        assert_eq!(read(r#"{"b":0.3}"#), Ok(Laplace::new(0.3)?));
        assert_eq!(read(r#"{"sigma":0.3}"#), Ok(Gaussian::new(0.3)?));
        assert_eq!(read(r#"{"sigma":null}"#), Ok(Gaussian::learned()));
        assert_eq!(read(r#"{"nu":2.0,"scale":0.5}"#), Ok(StudentT::new(2.0, 0.5)?));
        assert_eq!(read(r#"{"pi":0.5,"sigma1":1.0,"sigma2":0.1}"#), Ok(ScaleMixture::new(0.5, 1.0, 0.1)?));
        assert_eq!(read(r#"{"tau":0.1,"exact":true}"#), Ok(HorseshoeLike::exact(0.1)?));
        assert!(read::<HorseshoeLike>(r#"{"tau":-1.0,"exact":false}"#).is_err_and(|e| e.contains("positive")));
        for far in ["1e-20", "1e20"] {
            let refused = |error: String| error.contains("between 1e-15 and 1e15");
            assert!(read::<Laplace>(&format!(r#"{{"b":{far}}}"#)).is_err_and(refused));
            assert!(read::<Gaussian>(&format!(r#"{{"sigma":{far}}}"#)).is_err_and(refused));
            assert!(read::<HorseshoeLike>(&format!(r#"{{"tau":{far},"exact":false}}"#)).is_err_and(refused));
            assert!(read::<StudentT>(&format!(r#"{{"nu":1.0,"scale":{far}}}"#)).is_err_and(refused));
            let mixture = format!(r#"{{"pi":0.5,"sigma1":1.0,"sigma2":{far}}}"#);
            assert!(read::<ScaleMixture>(&mixture).is_err_and(refused));
        }
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
