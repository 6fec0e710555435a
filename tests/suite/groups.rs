//! Learning rates of their own for groups of parameters, and the initial log α that goes with them.

use sparsevd::prelude::*;
use sparsevd::{Group, Parameters, PerLayer};

type Net = (SparseVdLinear<64, 12>, BatchNorm<12>, ReLU, SparseVdLinear<12, 10>);
type Built = <Net as BuildOnDevice<Cpu, f32>>::Built;

/// The network before and after one step of Adam, whose first step moves a parameter by the learning rate.
fn after_one_step(groups: Vec<Group>) -> [Built; 2] {
    let digits = Split::optdigits().unwrap().centred().into_parts().0.take(50, 0).unwrap();
    let mut net = Cpu::seed_from_u64(0).build_module::<Net, f32>();
    let before = net.clone();
    let trainer = Trainer { epochs: 1, batch: 50, learning_rate: 1e-3, groups, progress: false, ..Trainer::default() };
    trainer.fit(&mut net, &digits).unwrap();
    [before, net]
}

/// The largest change of a number.
fn moved(before: &[f32], after: &[f32]) -> f32 {
    before.iter().zip(after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn each_group_moves_at_its_own_rate() {
    let groups = vec![
        Group::new(Parameters::LogVariances, 100.0),
        Group::new(Parameters::Norms, 0.0),
        Group::new(Parameters::part("3"), 0.1),
    ];
    let [before, after] = after_one_step(groups);
    let near = |moved: f32, expected: f32| assert!((moved / expected - 1.0).abs() < 0.05, "{moved} {expected}");
    near(moved(&before.0.theta.as_vec(), &after.0.theta.as_vec()), 1e-3);
    near(moved(&before.0.spread.as_vec(), &after.0.spread.as_vec()), 1e-1);
    near(moved(&before.3.theta.as_vec(), &after.3.theta.as_vec()), 1e-4);
    near(moved(&before.3.bias.as_vec(), &after.3.bias.as_vec()), 1e-4);
    near(moved(&before.3.spread.as_vec(), &after.3.spread.as_vec()), 1e-2);
    assert_eq!(moved(&before.1.scale.as_vec(), &after.1.scale.as_vec()), 0.0);
    let [before, after] = after_one_step(Vec::new());
    near(moved(&before.1.scale.as_vec(), &after.1.scale.as_vec()), 1e-3);
    near(moved(&before.0.spread.as_vec(), &after.0.spread.as_vec()), 1e-3);
}

#[test]
fn a_group_that_the_network_lacks_is_an_error() {
    let digits = Split::optdigits().unwrap().centred().into_parts().0.take(50, 0).unwrap();
    let mut net = Cpu::seed_from_u64(0).build_module::<Net, f32>();
    let trainer = Trainer { groups: vec![Group::new(Parameters::part("7"), 2.0)], batch: 50, ..Trainer::default() };
    let error = trainer.fit(&mut net, &digits).unwrap_err().to_string();
    assert_eq!(
        error,
        "groups: the network has no trained part \"7\"; its parts with parameters are \"0\", \"1\", \"3\""
    );
}

#[test]
fn every_weight_starts_with_the_log_alpha_asked_for() {
    fn check(layer: &mut dyn Layer, expected: impl Fn(f64) -> f64) {
        let mut theta = layer.theta();
        theta[0] = 0.0;
        layer.set_theta(&theta).unwrap();
        layer.set_log_alpha(-4.0).unwrap();
        for (theta, log_alpha) in theta.iter().zip(layer.log_alpha()).skip(1) {
            assert!((log_alpha - expected(*theta)).abs() < 1e-3, "{theta}: {log_alpha}");
        }
        assert!(layer.set_log_alpha(f64::NAN).is_err() && layer.set_log_alpha(1e9).is_err());
    }
    let device = Cpu::seed_from_u64(0);
    let mut additive = device.build_module::<SparseVdLinear<30, 20>, f32>();
    check(&mut additive, |_| -4.0);
    assert!((additive.spread.as_vec()[0] - (-4.0 + 2.0 * 1e-8_f32.ln())).abs() < 1e-4, "a mean of 0 counts as 1e-8");
    type Shared = Variational<LinearMap<30, 20>, Multiplicative<PerLayer>, LogUniform>;
    check(&mut device.build_module::<Shared, f32>(), |_| -4.0);
}
