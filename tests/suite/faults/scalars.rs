//! The scalars of a network, its numbers that are not tensors, in files.

use serde_json::Value;
use sparsevd::{AvgPool2d, Epoch, FileError, copy_means, means_from_bytes, posterior_from_bytes, posterior_to_bytes};

use super::*;

/// Everything of dfdx's that has a number which is not a tensor.
type Scalars = ((SparseVdLinear<64, 2>, BatchNorm<2>, ReLU), BatchNorm1D<2>, LayerNorm1D<2>, Dropout, ArdLinear<2, 10>);
type Mixed = <Scalars as BuildOnDevice<Cpu, f32>>::Built;

fn module(seed: u64) -> Mixed {
    Cpu::seed_from_u64(seed).build_module::<Scalars, f32>()
}

/// A network none of whose numbers is the default.
fn odd() -> Mixed {
    let mut net = module(1);
    (net.0.1.epsilon, net.0.1.momentum) = (0.1, 0.25);
    (net.1.epsilon, net.1.momentum) = (0.2, 0.75);
    (net.2.epsilon, net.3.p) = (0.3, 0.125);
    net
}

fn numbers(net: &Mixed) -> [f64; 6] {
    [net.0.1.epsilon, net.0.1.momentum, net.1.epsilon, net.1.momentum, net.2.epsilon, f64::from(net.3.p)]
}

fn outputs(net: &Mixed) -> Vec<f32> {
    let x: Tensor<(usize, Const<64>), f32, Cpu> = Cpu::seed_from_u64(5).sample_normal_like(&(7, Const));
    net.forward(x).as_vec()
}

#[test]
fn a_posterior_computes_the_same_where_it_is_read() {
    let (from, mut to) = (odd(), module(2));
    posterior_from_bytes(&mut to, &posterior_to_bytes(&from, &()).unwrap()).unwrap();
    assert_eq!((numbers(&to), outputs(&to)), (numbers(&from), outputs(&from)));
    // The other way round: what the file has counts, the default included.
    let (from, mut to) = (module(1), odd());
    posterior_from_bytes(&mut to, &posterior_to_bytes(&from, &()).unwrap()).unwrap();
    assert_eq!((numbers(&to), outputs(&to)), (numbers(&from), outputs(&from)));
}

/// Means are what a deterministic network computes with: epsilons, not momenta and rates.
#[test]
fn means_bring_the_epsilons_of_their_norms() {
    let (from, mut copied, mut read) = (odd(), module(2), module(3));
    copy_means(&from, &mut copied).unwrap();
    means_from_bytes(&mut read, &posterior_to_bytes(&from, &()).unwrap()).unwrap();
    for to in [copied, read] {
        assert_eq!(numbers(&to), [0.1, 0.1, 0.2, 0.1, 0.3, 0.5]);
        assert_eq!(outputs(&to), outputs(&from));
    }
}

/// To the same bits as without an interruption, also where the caller has changed a momentum on the way.
#[test]
fn a_training_goes_on_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let trainer = Trainer { epochs: 3, ..trainer() };
    let change = |net: &mut Built, epoch: &mut Epoch| {
        if epoch.epoch == 0 {
            (net.1.epsilon, net.1.momentum) = (0.1, 0.5);
        }
        Ok(ControlFlow::Continue(()))
    };
    let mut whole = net(1);
    trainer.fit_with(&mut whole, &DIGITS, change).unwrap();
    let checkpoints = Checkpoints { resume: true, ..Checkpoints::at(dir.path().join("training")) };
    let stop = |net: &mut Built, epoch: &mut Epoch| match epoch.epoch {
        0 => change(net, epoch),
        _ => Ok(ControlFlow::Break(())),
    };
    trainer.fit_resumable_with(&mut net(1), &DIGITS, &checkpoints, stop).unwrap();
    let mut resumed = net(2);
    trainer.fit_resumable_with(&mut resumed, &DIGITS, &checkpoints, change).unwrap();
    assert_eq!((resumed.1.epsilon, resumed.1.momentum), (0.1, 0.5));
    assert_eq!(bytes(&resumed), bytes(&whole));
}

type Change = fn(&mut Built);

/// As versions wrote it that did not keep them: read where everything is the default, else refused.
#[test]
fn a_file_without_them_is_of_the_defaults() {
    for (kind, file, read) in files() {
        let file = Container::parse(kind, 2, &file).unwrap();
        let mut about: Value = file.about().unwrap();
        assert!(about.as_object_mut().unwrap().remove("scalars").is_some());
        let old = Container { about: about.to_string(), ..file }.to_bytes(kind, 2).unwrap();
        read(&mut net(2), &old).unwrap();
        means_from_bytes(&mut net(2), &old).unwrap();
        let epsilon: Change = |net| net.1.epsilon = 0.1;
        let momentum: Change = |net| net.1.momentum = 0.25;
        for (change, said) in [
            (epsilon, "no `1.epsilon`, which means the default, 1e-5; here it is 0.1"),
            (momentum, "no `1.momentum`, which means the default, 0.1; here it is 0.25"),
        ] {
            let mut target = net(2);
            change(&mut target);
            let before = bytes(&target);
            let error = read(&mut target, &old).unwrap_err().to_string();
            assert!(error.contains(said), "{kind}: {error}");
            assert_eq!(bytes(&target), before);
        }
    }
}

/// The layers and their tensors are the same; the function is not.
#[test]
fn other_activations_are_another_network() {
    type Pooled<P> = (Variational<Conv2dMap<1, 2, 3>, Additive, LogUniform>, P, Flatten<18>);
    type From = (SparseVdLinear<64, 2>, LeakyReLU<f32>, (ArdLinear<2, 10>, dfdx::nn::builders::ReLU));
    type To = (SparseVdLinear<64, 2>, Tanh, (ArdLinear<2, 10>, ReLU));
    let dev = Cpu::seed_from_u64(1);
    let said = |result: Result<(), Error>| match problem(result) {
        FileError::Mismatch(problems) => problems,
        other => panic!("{other:?}"),
    };
    let (mut from, mut to) = (dev.build_module::<From, f32>(), dev.build_module::<To, f32>());
    let file = posterior_to_bytes(&from, &()).unwrap();
    let told = said(posterior_from_bytes(&mut to, &file));
    assert_eq!(told, ["part 1 is LeakyReLU(0.05) in the file, Tanh here"], "both kinds of ReLU are one");
    assert_eq!(means_from_bytes(&mut to, &file).unwrap(), 4, "means are anybody's");
    from.1.0 = 0.2;
    let told = said(posterior_from_bytes(&mut from, &file));
    assert_eq!(told, ["part 1 is LeakyReLU(0.05) in the file, LeakyReLU(0.2) here"]);
    let mut bare = dev.build_module::<(SparseVdLinear<64, 2>, Dropout, (ArdLinear<2, 10>,)), f32>();
    let told = said(posterior_from_bytes(&mut bare, &file));
    assert_eq!(told, ["part 1 is LeakyReLU(0.05) in the file, not here", "part 2.1 is ReLU in the file, not here"]);

    let max = dev.build_module::<Pooled<MaxPool2d<2>>, f32>();
    let mut mean = dev.build_module::<Pooled<AvgPool2d<3, 2, 1>>, f32>();
    let told = said(posterior_from_bytes(&mut mean, &posterior_to_bytes(&max, &()).unwrap()));
    assert_eq!(
        told,
        [
            "part 1 is MaxPool2d { kernel: 2, stride: 2, pad: 0 } in the file, AvgPool2d { kernel: 3, stride: 2, pad: 1 } here"
        ]
    );
    type Nested = Residual<SparseVdLinear<4, 4>>;
    let plain = dev.build_module::<(SparseVdLinear<4, 4>,), f32>();
    let mut residual = dev.build_module::<Nested, f32>();
    let told = said(posterior_from_bytes(&mut residual, &posterior_to_bytes(&plain, &()).unwrap()));
    assert_eq!(told, ["the network is Residual here, not in the file"]);
}
