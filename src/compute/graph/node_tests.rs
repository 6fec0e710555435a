//! Every operation of a graph node against `Dual`: the value and both derivatives.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use sparsevd_priors::{Dual, Normal};

use super::*;

/// A formula of two numbers that can be computed with anything.
trait Formula {
    fn of<R: Real>(&self, a: R, b: R) -> R;
}

/// The value and both derivatives, through the graph.
fn graph<E: Elem>(formula: &impl Formula, a: f64, b: f64) -> [f64; 3]
where
    Cpu: Backend<E>,
{
    let dev = Cpu::default();
    let make = |x: f64| dev.tensor_from_vec(vec![E::of(x); 2], (1, 2));
    let (ta, tb) = (make(a), make(b));
    let node = Node::root(ta.leaky_trace());
    let other = node.join(tb.leaky_trace());
    let out = formula.of(node, other).finish().unwrap();
    let value = out.as_vec()[1].f64();
    let mut gradients = out.sum::<Rank0, _>().backward();
    [value, last(&mut gradients, &ta), last(&mut gradients, &tb)]
}

fn last<E: Elem>(gradients: &mut Gradients<E, Cpu>, of: &Tensor<Matrix, E, Cpu>) -> f64 {
    gradients.get_or_alloc_mut(of).unwrap()[1].f64()
}

/// In `f64` to 1e-12; in `f32`, at the same `f32` arguments, to 4e-6: some 30 roundings of 1.2e-7.
fn agrees(name: &str, formula: impl Formula, a: f64, b: f64) {
    let (x, y) = Dual::inputs(a, b);
    let exact = formula.of(x, y);
    let exact = [exact.value, exact.grad[0], exact.grad[1]];
    for (numbers, tolerance) in [(graph::<f64>(&formula, a, b), 1e-12), (graph::<f32>(&formula, a, b), 4e-6)] {
        for (found, exact) in numbers.iter().zip(&exact) {
            let gap = (found - exact).abs() / exact.abs().max(1.0);
            assert!(gap <= tolerance, "{name}({a}, {b}): {numbers:?}, not {exact}");
        }
    }
}

macro_rules! holds {
    ($x:expr, $y:expr, |$a:ident, $b:ident| $body:expr) => {{
        struct This;
        impl Formula for This {
            fn of<R: Real>(&self, $a: R, $b: R) -> R {
                $body
            }
        }
        agrees(stringify!($body), This, $x, $y);
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, rng_seed: RngSeed::Fixed(3), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn operations(x in -3.0_f32..3.0, p in 0.05_f32..3.0) {
        let (x, p) = (f64::from(x), f64::from(p));
        holds!(x, p, |a, b| a + b);
        holds!(x, p, |a, b| a - b);
        holds!(x, p, |a, b| a * b);
        holds!(x, p, |a, b| a / b.shift(1.0));
        holds!(x, p, |a, b| (-a).scale(-2.5).shift(0.7) + b.recip().scale(0.01));
        holds!(x, p, |a, b| a.square() + b.square().square());
        holds!(x, p, |a, b| a.abs() + b.sqrt().scale(0.1));
        holds!(x, p, |a, b| a.exp() - b.exp());
        holds!(x, p, |a, b| a.exp_m1() + b.exp_m1());
        holds!(x, p, |a, b| a + b.ln().scale(0.1));
        holds!(x, p, |a, b| a.square().ln_1p() + b.ln_1p());
        holds!(x, p, |a, b| a.sigmoid() * b.sigmoid());
        holds!(x, p, |a, b| a.softplus() - b.softplus());
        holds!(x, p, |a, b| a.at_least(0.5) * b.at_least(-1.0));
        holds!(x, p, |a, b| a.erf() + b);
        holds!(x, p, |a, b| a.lift(|x| (x.sin(), x.cos())) * b);
        holds!(x, p, |a, b| a.clone().detached() * a + b);
        holds!(x, p, |a, b| Normal::new(a, b).kl_to(|w| w.square().scale(-0.5)));
    }

    /// One node on both sides of an operation is one tensor, which dfdx's backward pass rejects.
    #[test]
    fn a_node_meets_itself(x in -3.0_f32..3.0, p in 0.05_f32..3.0) {
        let (x, p) = (f64::from(x), f64::from(p));
        holds!(x, p, |a, b| a.clone() * a + b.clone() * b);
        holds!(x, p, |a, b| a.clone() + a + (b.clone() + b));
        holds!(x, p, |a, b| a.clone() - a + (b.clone() - b));
        holds!(p, x, |a, b| a.clone() / a + b);
        holds!(x, p, |a, b| {
            let c = a.clone() * b.clone();
            c.clone() * c.clone() * (c.clone() + c) + a * b
        });
        // Two different nodes with the same numbers are two tensors.
        holds!(x, p, |a, b| a.clone().shift(0.0) * a.clone() - a + b);
    }

    /// A value that is computed and not used leaves the tape unchanged.
    #[test]
    fn a_value_dropped_without_use(x in -3.0_f32..3.0, p in 0.05_f32..3.0) {
        let (x, p) = (f64::from(x), f64::from(p));
        holds!(x, p, |a, b| {
            let kept = a.clone().square();
            drop(a.clone().exp() * b.clone());
            let _unused = kept.clone().ln_1p();
            kept * b
        });
        holds!(x, p, |a, _b| a);
        holds!(x, p, |_a, b| b.scale(2.0));
    }
}

/// At the kinks and edges of functions.
#[test]
fn edges() {
    holds!(0.0, 1.0, |a, b| a.abs() + b);
    holds!(0.0, 1.0, |a, b| a.softplus() + b);
    holds!(0.0, 1.0, |a, b| a.exp_m1() + b);
    holds!(0.0, 1.0, |a, b| a.sigmoid() + b);
    holds!(-200.0, 1.0, |a, b| a.softplus() + b);
    holds!(200.0, 1.0, |a, b| a.softplus() + b);
    holds!(-200.0, 200.0, |a, b| a.sigmoid() + b.sigmoid());
    holds!(1e-7, 1e-9, |a, b| a.exp_m1().scale(1e7) + b.ln_1p().scale(1e9));
    holds!(1e8, 1.0, |a, b| a.ln_1p() + b);
    let [root, slope, _] = {
        struct Root;
        impl Formula for Root {
            fn of<R: Real>(&self, a: R, _: R) -> R {
                a.sqrt()
            }
        }
        graph::<f32>(&Root, 0.0, 0.0)
    };
    assert!((root - 1e-15).abs() < 1e-20 && (slope / 5e14 - 1.0).abs() < 1e-5, "{root} {slope}");
}

/// The ends of a function's range, in `f32`: the values of `f32`, infinite ones included.
#[test]
fn the_range_of_f32() {
    let dev = Cpu::default();
    let ends = [f32::NEG_INFINITY, -1e30, -200.0, -1.0, -0.0, 1e-45, 1.0, 88.5, 200.0, 1e30, f32::INFINITY, f32::NAN];
    let x: Tensor<Matrix, f32, Cpu> = dev.tensor_from_vec(ends.to_vec(), (ends.len(), 1));
    type Plain = Node<f32, Cpu, NoneTape>;
    type Function = (&'static str, fn(Plain) -> Plain, fn(f32) -> f32);
    let functions: [Function; 7] = [
        ("exp", Real::exp, Real::exp),
        ("exp_m1", Real::exp_m1, Real::exp_m1),
        ("ln", Real::ln, Real::ln),
        ("ln_1p", Real::ln_1p, Real::ln_1p),
        ("sigmoid", Real::sigmoid, Real::sigmoid),
        ("softplus", Real::softplus, Real::softplus),
        ("at_least", |x| x.at_least(0.5), |x| x.at_least(0.5)),
    ];
    for (name, graph, plain) in functions {
        for (x, found) in ends.into_iter().zip(graph(Node::root(x.clone())).finish().unwrap().as_vec()) {
            let exact = plain(x);
            let same = found == exact || (found.is_nan() && exact.is_nan());
            assert!(same || (found - exact).abs() <= 4e-6 * exact.abs() + 1e-38, "{name}({x}): {found}, not {exact}");
        }
    }
}

/// Without a tape the same formulas give the same values.
#[test]
fn values_without_a_tape() {
    let dev = Cpu::default();
    let x: Tensor<Matrix, f64, Cpu> = dev.tensor_from_vec(vec![0.3, -2.0], (2, 1));
    let node: Node<f64, Cpu, NoneTape> = Node::root(x);
    let out = (node.clone().softplus() * node.exp_m1()).finish().unwrap().as_vec();
    for (out, x) in out.iter().zip([0.3_f64, -2.0]) {
        assert!((out - Real::softplus(x) * x.exp_m1()).abs() < 1e-14);
    }
}
