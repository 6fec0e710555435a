//! A prior of your own: its log-density is enough to train, to prune and to check the prior against its laws.
//!
//! `cargo run --release --example custom_prior --features laws`

use serde::Serialize;
use sparsevd::prelude::*;
use sparsevd::priors::laws::Laws;

/// Generalised double Pareto (Armagan, Dunson, Lee 2013) of shape 1 and scale 1/100: `p(w) = 50 (1 + 100 |w|)^-2`.
/// A sharp peak at zero, tails as heavy as Cauchy's.
#[derive(Clone, Debug, Default, Serialize)]
struct DoublePareto;

impl Prior for DoublePareto {
    const ID: &'static str = "double_pareto";

    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        q.kl_to(ln_pdf)
    }
}

fn ln_pdf<R: Real>(w: R) -> R {
    w.abs().scale(100.0).ln_1p().scale(-2.0).shift(f64::ln(50.0))
}

fn main() -> Result<(), Error> {
    // As in your own tests: checks the gradient, the density, single precision, and the properties declared here.
    Laws::of(DoublePareto).proper().even().gradient_within(0.01).ln_pdf(ln_pdf, 1e-3).check();
    println!("The prior satisfies its laws.");

    let split = Split::optdigits()?.centred();
    let mut net = Cpu::seed_from_u64(0).build_module::<LeNet300100<DoublePareto, Additive, 64>, f32>();
    Trainer { epochs: 40, batch: 50, learning_rate: 2e-3, ..Trainer::default() }.fit(&mut net, split.train())?;

    let test = split.test();
    for how in [Evaluate::Mean, Evaluate::Pruned(3.0), Evaluate::Samples { count: 10, seed: 0 }] {
        let metrics = predict(&mut net, test, how)?.score(test.labels())?;
        println!(
            "{how:?}: error {:.2} %, nll {:.3}, ece {:.1} %",
            100.0 * metrics.error,
            metrics.nll,
            100.0 * metrics.ece
        );
    }
    println!("{}", net.sparsity(3.0)?);
    Ok(())
}
