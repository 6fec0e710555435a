//! The laws catch wrong formulas, and name what is wrong with them.

use sparsevd_priors::laws::{Law, Laws};
use sparsevd_priors::{Gaussian, Laplace, LogUniform, Moments, Normal, Prior, Real, Shared};

/// A prior for one wrong formula.
macro_rules! wrong {
    ($name:ident, |$q:ident| $kl:expr $(, $more:item)*) => {
        #[derive(Clone, Debug)]
        struct $name;
        impl Prior for $name {
            fn kl<R: Real>(&self, $q: Normal<R>) -> R {
                $kl
            }
            $($more)*
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
    breaks(Laws::of(Laplace::new(1.0).unwrap()).ln_pdf(|w| -w.abs() - 2_f64.ln() + 0.0, 1e-18), Law::LnPdf);
}

wrong!(
    WrongFit,
    |q| Gaussian::learned().kl(q),
    fn shared(&self) -> Shared {
        Shared::PerLayer
    },
    fn fit(&self, moments: &Moments) -> f64 {
        moments.second
    }
);
#[test]
fn a_fit_that_forgets_the_root() {
    breaks(Laws::of(WrongFit), Law::Fit);
}

wrong!(
    FitOfTheMean,
    |q| Gaussian::learned().kl(q),
    fn shared(&self) -> Shared {
        Shared::PerOutput
    },
    fn fit(&self, moments: &Moments) -> f64 {
        moments.first.abs()
    }
);
#[test]
fn a_fit_to_the_wrong_moment() {
    breaks(Laws::of(FitOfTheMean), Law::Fit);
}

wrong!(
    NoFit,
    |q| Gaussian::learned().kl(q),
    fn shared(&self) -> Shared {
        Shared::PerLayer
    },
    fn fit(&self, _: &Moments) -> f64 {
        -3.0
    }
);
#[test]
fn a_scale_that_is_none() {
    let told = breaks(Laws::of(NoFit), Law::Fit);
    assert!(told.contains("the scale is -3e0, not "), "{told}");
}

// The KL of a prior whose gradient is good for 1e-2 only: said before or after the density, it holds for both.
#[test]
fn a_gradient_bound_holds_wherever_it_is_said() {
    let sharp = |w: f64| 50_f64.ln() - 2.0 * (100.0 * w.abs()).ln_1p();
    #[derive(Clone, Debug)]
    struct DoublePareto;
    impl Prior for DoublePareto {
        fn kl<R: Real>(&self, q: Normal<R>) -> R {
            q.kl_to(|w| w.abs().scale(100.0).ln_1p().scale(-2.0).shift(f64::ln(50.0)))
        }
    }
    Laws::of(DoublePareto).ln_pdf(sharp, 1e-3).gradient_within(0.01).check();
    Laws::of(DoublePareto).proper().gradient_within(0.01).ln_pdf(sharp, 1e-3).check();
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
