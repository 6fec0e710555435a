//! Student's t prior: tails of adjustable weight.

use libm::lgamma;
use serde::{Deserialize, Serialize};

use crate::error::{self, Error};
use crate::normal::Normal;
use crate::prior::Prior;
use crate::real::Real;

/// Student's t with `nu` degrees of freedom and scale `s > 0`: `nu = 1` is Cauchy, `nu -> inf` a Gaussian.
///
/// ```text
/// ln p(w) = ln G((nu + 1)/2) - ln G(nu/2) - 0.5 ln(π nu) - ln s - (nu + 1)/2 ln(1 + w² / (nu s²))        nats
/// ```
///
/// The KL has no closed form; [`Normal::kl_to`] computes it. For nu from 1 to 30 the value is off by at most 6e-7 and
/// the gradient by 4e-6, times `1 + |KL|`, while σ <= 4 s; 2e-6 and 4e-6 up to 40 s; 2e-5 and 2e-5 up to 1000 s.
///
/// Source: textbook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
// Through `new`, so that parameters which it rejects are rejected in files, too.
#[serde(try_from = "Parameters", into = "Parameters")]
pub struct StudentT {
    nu: f64,
    scale: f64,
    /// `ln p(0)` for scale 1.
    ln_peak: f64,
}

/// The Cauchy distribution: `nu = 1`, scale 1.
impl Default for StudentT {
    fn default() -> Self {
        StudentT { nu: 1.0, scale: 1.0, ln_peak: -std::f64::consts::PI.ln() }
    }
}

impl StudentT {
    /// Degrees of freedom `nu` and scale `scale`.
    ///
    /// # Errors
    /// [`Error::NotPositive`] unless both are positive and finite; [`Error::OutOfRange`] unless `nu` is between 0.2 and
    /// 1e15 and `scale` between 1e-15 and 1e15.
    pub fn new(nu: f64, scale: f64) -> Result<Self, Error> {
        let nu = error::within([0.2, 1e15], "StudentT", "nu", nu)?;
        let scale = error::scale("StudentT", "scale", scale)?;
        Ok(StudentT { nu, scale, ln_peak: ln_peak(nu) })
    }

    /// `ln p(w)`, in nats.
    #[inline(always)]
    pub fn ln_pdf<R: Real>(&self, w: R) -> R {
        self.ln_pdf_of_unit_scale(w.scale(self.scale.recip())).shift(-self.scale.ln())
    }

    #[inline(always)]
    fn ln_pdf_of_unit_scale<R: Real>(&self, w: R) -> R {
        w.square().scale(self.nu.recip()).ln_1p().scale(-0.5 * (self.nu + 1.0)).shift(self.ln_peak)
    }
}

/// `ln p(0)` for scale 1, within 1e-14.
fn ln_peak(nu: f64) -> f64 {
    if nu < 40.0 {
        return lgamma(0.5 * (nu + 1.0)) - lgamma(0.5 * nu) - 0.5 * (std::f64::consts::PI * nu).ln();
    }
    // Here that difference cancels. Its asymptotic series, from Stirling's; the next term is 31 / (36 nu^9).
    let x = nu.recip();
    let series = x * (-1.0 / 4.0 + x * x * (1.0 / 24.0 + x * x * (-1.0 / 20.0 + x * x * 17.0 / 112.0)));
    series - 0.5 * std::f64::consts::TAU.ln()
}

impl Prior for StudentT {
    const ID: &'static str = "student_t";

    #[inline(always)]
    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        q.in_units_of(self.scale).kl_to(|w| self.ln_pdf_of_unit_scale(w))
    }
}

/// The parameters in a file; `ln_peak` follows from them.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Parameters {
    nu: f64,
    scale: f64,
}

impl TryFrom<Parameters> for StudentT {
    type Error = Error;
    fn try_from(p: Parameters) -> Result<Self, Error> {
        StudentT::new(p.nu, p.scale)
    }
}

impl From<StudentT> for Parameters {
    fn from(p: StudentT) -> Self {
        Parameters { nu: p.nu, scale: p.scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of mpmath 1.3, 20 digits.
    #[test]
    fn the_peak() {
        for (nu, exact) in [
            (1.0, -1.144_729_885_849_400_2),
            (3.0, -1.000_888_849_623_509_7),
            (30.0, -0.927_270_325_378_845_7),
            (40.0, -0.925_187_882_650_364_2),
            (60.0, -0.923_105_007_034_351),
            (1000.0, -0.919_188_533_163_006_1),
        ] {
            assert!((ln_peak(nu) - exact).abs() < 1e-14, "{nu}: {}", ln_peak(nu));
        }
    }

    /// At the switch to the series, the series continues the difference of logarithms; that one is good to 1e-14 there.
    #[test]
    fn the_two_forms_of_the_peak_meet() {
        assert!((ln_peak(40.0_f64.next_down()) - ln_peak(40.0)).abs() < 2e-14);
    }

    #[test]
    fn many_degrees_of_freedom_are_a_gaussian() {
        for nu in [9e5, 1e6, 1e12, 1e15] {
            let peak = StudentT::new(nu, 1.0).unwrap().ln_pdf(0.0_f64);
            let gaussian = -0.5 * std::f64::consts::TAU.ln();
            assert!((peak - gaussian + 0.25 / nu).abs() < 1e-15, "{nu}: {peak}");
        }
    }
}
