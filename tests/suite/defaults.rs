//! The defaults learn: each kind of layer, trained by `Trainer::default()` on the digits.

use sparsevd::Classifier;
use sparsevd::prelude::*;

/// The error after 30 epochs, pruned.
fn error<N: Classifier<64, 10, f32, Cpu>>(mut net: N) -> f64 {
    let digits = Split::optdigits().unwrap().centred();
    let trainer = Trainer { epochs: 30, progress: false, ..Trainer::default() };
    let history = trainer.fit(&mut net, digits.train()).unwrap();
    assert_eq!(history.warning(), None);
    predict(&mut net, digits.test(), Evaluate::Pruned(3.0)).unwrap().score(digits.test().labels()).unwrap().error
}

macro_rules! learns {
    ($($test:ident, $layer:ident;)+) => { $(
        #[test]
        fn $test() {
            type Net = ($layer<64, 30>, ReLU, $layer<30, 10>);
            let error = error(Cpu::seed_from_u64(0).build_module::<Net, f32>());
            assert!(error < 0.1, "{error}");
        }
    )+ };
}
learns! {
    sparse_vd, SparseVdLinear;
    ard, ArdLinear;
    gaussian, GaussianLinear;
    gaussian_dropout, GaussianDropoutLinear;
    dropout, DropoutLinear;
    dense, DenseLinear;
}
