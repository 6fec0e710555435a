//! The laws catch wrong formulas, and name what is wrong with them.

use serde::Serialize;
use sparsevd_priors::laws::{Law, Laws};
use sparsevd_priors::{Ard, Flat, Gaussian, Laplace, LearnedScale, LogUniform, Moments, Normal, Prior, Real, Shared};

/// A prior for one wrong formula, or for a wrong fit of a scale that is shared.
macro_rules! wrong {
    ($name:ident, |$q:ident| $kl:expr) => {
        wrong!(@ $name, |$q| $kl,);
    };
    ($name:ident, |$q:ident| $kl:expr, $shared:ident, |$moments:ident| $fit:expr) => {
        wrong!(@ $name, |$q| $kl, fn learned_scale(&self) -> Option<&dyn LearnedScale> {
            Some(self)
        });
        impl LearnedScale for $name {
            fn shared(&self) -> Shared {
                Shared::$shared
            }
            fn fit(&self, $moments: &Moments) -> f64 {
                $fit
            }
        }
    };
    (@ $name:ident, |$q:ident| $kl:expr, $($more:item)?) => {
        #[derive(Clone, Debug, Serialize)]
        struct $name;
        impl Prior for $name {
            const ID: &'static str = stringify!($name);
            fn kl<R: Real>(&self, $q: Normal<R>) -> R {
                $kl
            }
            $($more)?
        }
    };
}

#[track_caller]
fn breaks(laws: Laws<impl Prior>, law: Law) -> String {
    let violation = laws.run().expect_err("a wrong prior passed");
    assert_eq!(violation.law, law, "{violation}");
    violation.to_string()
}

fn ln_normal(w: f64) -> f64 {
    -0.5 * w * w - 0.918_938_533_204_672_8
}

wrong!(SignError, |q| (q.log_var.clone().exp_m1() - q.log_var - q.mean.square()).scale(0.5));
#[test]
fn a_sign_error() {
    breaks(Laws::of(SignError).ln_pdf(ln_normal, 1e-6), Law::LnPdf);
    breaks(Laws::of(SignError).proper(), Law::Proper);
}

// ln 2 is missing: (e^d - 1 - d + theta^2) / 2 without the constant of a density.
wrong!(MissingConstant, |q| Laplace::new(1.0).unwrap().kl(q).shift(-std::f64::consts::LN_2));
#[test]
fn a_missing_constant() {
    let laplace = Laplace::new(1.0).unwrap();
    breaks(Laws::of(MissingConstant).ln_pdf(move |w| laplace.ln_pdf(w), 1e-6), Law::LnPdf);
}

#[test]
fn a_density_without_its_constant() {
    breaks(Laws::of(Gaussian::new(1.0).unwrap()).ln_pdf(|w| -0.5 * w * w, 1e-6), Law::Normalised);
}

// The derivative of sqrt(1 + x) - 1 is half of what is said.
wrong!(WrongLift, |q| q.inv_alpha().lift(|x| ((1.0 + x).sqrt() - 1.0, 1.0 / (1.0 + x).sqrt())));
#[test]
fn a_wrong_derivative() {
    let told = breaks(Laws::of(WrongLift), Law::Gradient);
    assert!(told.contains("the gradient must be the finite difference of the value"), "{told}");
}

// A derivative that is wrong in the tail only.
wrong!(WrongInTheTail, |q| q.inv_alpha().lift(|x| ((1.0 + x).ln(), if x < 20.0 { 1.0 / (1.0 + x) } else { 0.0 })));
#[test]
fn a_derivative_that_is_wrong_in_the_tail() {
    breaks(Laws::of(WrongInTheTail), Law::Gradient);
}

// The trap of many an implementation: ln theta^2.
wrong!(NanAtZero, |q| (q.mean.square().ln() - q.log_var).softplus());
#[test]
fn an_infinity_at_zero() {
    let violation = Laws::of(NanAtZero).run().expect_err("passed");
    assert_eq!((violation.law, violation.theta), (Law::Finite, 0.0), "{violation}");
    assert!(!violation.to_string().contains("within"), "{violation}");
}

// 1 / sigma^4 leaves the range of f32.
wrong!(Overflows, |q| (q.log_var.scale(-2.0).exp() * q.mean.square().square()).ln_1p());
#[test]
fn an_overflow_in_single_precision() {
    let violation = Laws::of(Overflows).run().expect_err("passed");
    assert_eq!(violation.law, Law::Finite, "{violation}");
    assert!(violation.what.contains("f32"), "{violation}");
}

// 1 + x - 1 loses x in single precision long before it does in double.
wrong!(Cancels, |q| (q.inv_alpha().shift(1e6).ln().shift(-1e6_f64.ln())).scale(1e3));
#[test]
fn a_cancellation_in_single_precision() {
    breaks(Laws::of(Cancels), Law::SinglePrecision);
}

// Right in single numbers, wrong in vectors of them: no honest formula can do this, so it looks at its type.
wrong!(WrongInLanes, |q| {
    let vector = std::mem::size_of::<R>() > 64;
    q.inv_alpha().ln_1p().scale(if vector { 0.51 } else { 0.5 })
});
#[test]
fn a_kernel_that_differs() {
    breaks(Laws::of(WrongInLanes), Law::Lanes);
}

#[test]
fn a_fixed_scale_is_not_scale_invariant() {
    breaks(Laws::of(Gaussian::new(1.0).unwrap()).scale_invariant(), Law::ScaleInvariant);
}

wrong!(Lopsided, |q| Gaussian::new(1.0).unwrap().kl(Normal::new(q.mean.shift(0.1), q.log_var)));
#[test]
fn a_prior_that_is_not_even() {
    breaks(Laws::of(Lopsided).proper().even(), Law::Even);
}

#[test]
fn a_gaussian_grows_with_alpha() {
    breaks(Laws::of(Gaussian::new(1.0).unwrap()).decreasing_in_alpha(), Law::DecreasingInAlpha);
}

#[test]
fn bounds_that_are_too_tight() {
    let fit = || Laws::of(LogUniform::Fit).cases(2000);
    breaks(fit().against(LogUniform::Exact, 0.0093, -10.0..=10.0), Law::Against);
    breaks(fit().slope_against(LogUniform::Exact, 0.0136, -10.0..=10.0), Law::SlopeAgainst);
    // The quadrature of a logistic density is good to 5e-7, and not to a tenth of it.
    #[derive(Clone, Debug, Serialize)]
    struct Logistic;
    impl Prior for Logistic {
        const ID: &'static str = "logistic";
        fn kl<R: Real>(&self, q: Normal<R>) -> R {
            q.kl_to(|w| -w.clone() - (-w).softplus().scale(2.0))
        }
    }
    let ln_pdf = |w: f64| -w - 2.0 * Real::softplus(-w);
    let narrow = || Laws::of(Logistic).gradient_within(3e-6).for_sigma(1e-6..=1.0);
    narrow().ln_pdf(ln_pdf, 5e-7).check();
    breaks(narrow().ln_pdf(ln_pdf, 5e-8), Law::LnPdf);
}

wrong!(WrongFit, |q| Gaussian::learned().kl(q), PerLayer, |moments| moments.second);
#[test]
fn a_fit_that_forgets_the_root() {
    breaks(Laws::of(WrongFit), Law::Fit);
}

wrong!(FitOfTheMean, |q| Gaussian::learned().kl(q), PerOutput, |moments| moments.first.abs());
#[test]
fn a_fit_to_the_wrong_moment() {
    breaks(Laws::of(FitOfTheMean), Law::Fit);
}

wrong!(NoFit, |q| Gaussian::learned().kl(q), PerLayer, |_moments| -3.0);
#[test]
fn a_scale_that_is_none() {
    let told = breaks(Laws::of(NoFit), Law::Fit);
    assert!(told.contains("the scale is -3e0, not "), "{told}");
}

// The KL of a prior whose gradient is good for 3e-3 only: said before or after the density, it holds for both.
#[test]
fn a_gradient_bound_holds_wherever_it_is_said() {
    let sharp = |w: f64| 50_f64.ln() - 2.0 * (100.0 * w.abs()).ln_1p();
    #[derive(Clone, Debug, Serialize)]
    struct DoublePareto;
    impl Prior for DoublePareto {
        const ID: &'static str = "doublepareto";
        fn kl<R: Real>(&self, q: Normal<R>) -> R {
            q.kl_to(|w| w.abs().scale(100.0).ln_1p().scale(-2.0).shift(f64::ln(50.0)))
        }
    }
    Laws::of(DoublePareto).ln_pdf(sharp, 1e-3).gradient_within(0.01).check();
    Laws::of(DoublePareto).proper().gradient_within(0.01).ln_pdf(sharp, 1e-3).check();
    breaks(Laws::of(DoublePareto).proper().ln_pdf(sharp, 1e-3), Law::LnPdfGradient);
}

// p = ln(1 + 1/w^2) / 2 pi without its 1 / 2 pi, and a Laplace density of mass 0.156.
wrong!(NoConstant, |q| q.kl_to(|w| (-w.square().at_least(1e-18).ln()).softplus().ln()));
wrong!(LittleMass, |q| Laplace::new(1.0).unwrap().kl(q).shift(-f64::ln(0.156)));
#[test]
fn a_kl_of_no_probability_density() {
    breaks(Laws::of(NoConstant).proper(), Law::Proper);
    let told = breaks(Laws::of(LittleMass).proper(), Law::Normalised);
    assert!(told.contains("the density that the KL implies is 1.5"), "{told}");
    Laws::of(LittleMass).nonnegative().check();
    // Nonnegative, and of no density at all.
    breaks(Laws::of(LogUniform::Exact).proper(), Law::Normalised);
    breaks(Laws::of(LogUniform::Fit).proper(), Law::Normalised);
    breaks(Laws::of(Ard::per_weight()).proper(), Law::Normalised);
    breaks(Laws::of(Flat).proper(), Law::Normalised);
}

// The derivative of sqrt(1 + w^2) is 1 % off, in a closed form and under a quadrature.
fn root(x: f64, error: f64) -> (f64, f64) {
    ((1.0 + x).sqrt(), error * 0.5 / (1.0 + x).sqrt())
}
wrong!(SlightlyWrong, |q| q.inv_alpha().lift(|x| root(x, 1.01)).shift(-1.0));
wrong!(SlightlyWrongDensity, |q| q.kl_to(|w| w.square().lift(|x| root(x, 1.01)).scale(-1.0).shift(-f64::ln(1.6))));
#[test]
fn a_derivative_that_is_wrong_by_a_percent_under_a_wide_bound() {
    breaks(Laws::of(SlightlyWrong).gradient_within(0.05), Law::Gradient);
    breaks(Laws::of(SlightlyWrongDensity).gradient_within(0.05), Law::Gradient);
}

// Half a nat at theta = 0 alone; and from theta = 1 on.
wrong!(JumpsAtZero, |q| LogUniform::Fit.kl(q.clone()) + q.mean.lift(|x| (if x == 0.0 { 0.5 } else { 0.0 }, 0.0)));
wrong!(Jumps, |q| LogUniform::Fit.kl(q.clone()) + q.mean.lift(|x| (if x > 1.0 { 0.5 } else { 0.0 }, 0.0)));
wrong!(JumpsInSigma, |q| LogUniform::Fit.kl(q.clone()) + q.log_var.lift(|x| (if x > -9.0 { 0.5 } else { 0.0 }, 0.0)));
#[test]
fn a_jump() {
    let told = breaks(Laws::of(JumpsAtZero), Law::Continuous);
    assert!(told.contains("at theta = 0e0"), "{told}");
    let violation = Laws::of(Jumps).run().expect_err("passed");
    assert_eq!(violation.law, Law::Continuous, "{violation}");
    assert!((violation.theta - 1.0).abs() < 1e-6 && (violation.found - 0.5).abs() < 1e-3, "{violation}");
    breaks(Laws::of(JumpsInSigma), Law::Continuous);
    // A kink is none, and a peak much narrower than any step is none.
    #[derive(Clone, Debug, Serialize)]
    struct Peaked;
    impl Prior for Peaked {
        const ID: &'static str = "peaked";
        fn kl<R: Real>(&self, q: Normal<R>) -> R {
            let peak = q.mean.clone().shift(-1.0).scale(1e5).square().scale(-1.0).exp();
            LogUniform::Fit.kl(q.clone()) + q.mean.abs() + peak
        }
    }
    Laws::of(Peaked).single_precision_within(1e3).check();
}

wrong!(WrongFitOfMany, |q| Gaussian::learned().kl(q), PerLayer, |moments| {
    let factor = if moments.count > 299 { 1.1 } else { 1.0 };
    factor * moments.second.sqrt()
});
#[test]
fn a_fit_that_is_wrong_for_many_weights() {
    breaks(Laws::of(WrongFitOfMany), Law::Fit);
}

// Cancels says what it loses; a bound that allows for it lets it pass.
#[test]
fn single_precision_is_held_to_what_is_said() {
    breaks(Laws::of(Cancels).single_precision_within(1e-4), Law::SinglePrecision);
    Laws::of(Cancels).single_precision_within(1.0).check();
    breaks(Laws::of(Gaussian::new(1.0).unwrap()).single_precision_within(1e-9), Law::SinglePrecision);
    Laws::of(Gaussian::new(1.0).unwrap()).single_precision_within(1e-5).check();
}

// An index out of bounds, an unwrap: whatever a formula of one's own may meet.
wrong!(Panics, |q| q.mean.lift(|x| if x.abs() > 3.0 { panic!("no table for {x}") } else { (0.0, 0.0) }));
#[test]
fn a_panic_is_told_with_the_prior_and_the_point() {
    let told = breaks(Laws::of(Panics), Law::Panic);
    assert!(told.starts_with("Panics: its formula must not panic; at theta = "), "{told}");
    assert!(told.contains("panicked: no table for"), "{told}");
}
wrong!(FitPanics, |q| Gaussian::learned().kl(q), PerLayer, |_moments| panic!("not yet written"));
#[test]
fn so_is_one_of_a_fit() {
    assert!(breaks(Laws::of(FitPanics), Law::Panic).contains("panicked: not yet written"));
}

#[test]
#[should_panic(expected = "cases(0)")]
fn no_law_is_tried_nowhere() {
    let _ = Laws::of(SignError).cases(0);
}

#[test]
#[should_panic(expected = "within NaN: a bound must be positive and finite")]
fn no_bound_that_nothing_breaks() {
    let _ = Laws::of(LogUniform::Fit).against(LogUniform::Exact, f64::NAN, -10.0..=10.0);
}

#[test]
#[should_panic(expected = "log alpha in 10.0..=-10.0: the range must hold numbers")]
fn no_empty_range() {
    let _ = Laws::of(LogUniform::Fit).slope_against(LogUniform::Exact, 0.1, 10.0..=-10.0);
}

#[test]
#[should_panic(expected = "sigma from 0 to 1: both must be positive and finite")]
fn no_sigma_of_zero() {
    let _ = Laws::of(LogUniform::Fit).for_sigma(0.0..=1.0);
}

#[test]
fn counterexamples_are_shrunk_and_repeat() {
    let run = || Laws::of(SignError).proper().run().expect_err("passed");
    let violation = run();
    assert_eq!(violation, run());
    assert_eq!(violation.sigma, 1.0, "{violation}");
}

#[test]
#[should_panic(expected = "SignError: the KL of a proper prior must not be negative; at theta = ")]
fn check_panics_with_the_sentence() {
    Laws::of(SignError).proper().check();
}
