//! Properties that hold for all bytes: nothing panics; rejected bytes leave the network unchanged; accepted bytes can
//! be written and read again.
#![allow(dead_code, reason = "each fuzz target is one of these")]

use sparsevd::data::{cifar, idx};
use sparsevd::infer::{CompactNet, Precision, Scratch};
use sparsevd::prelude::*;
use sparsevd::{WarmUp, means_from_bytes, posterior_from_bytes, posterior_to_bytes};

/// A network small enough for a fuzzer.
pub type Net = (SparseVdLinear<2, 3>, BatchNorm<3>, ReLU, ArdLinear<3, 2>);
pub type Built = <Net as BuildOnDevice<Cpu, f32>>::Built;

pub fn net(seed: u64) -> Built {
    Cpu::seed_from_u64(seed).build_module::<Net, f32>()
}

pub fn trainer() -> Trainer {
    Trainer { epochs: 2, batch: 2, warm_up: WarmUp::Epochs(0.0, 0.0), progress: false, ..Trainer::default() }
}

pub fn data() -> Dataset {
    Dataset::new("four", [1, 1, 2], 2, vec![0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0], vec![1, 1, 0, 0]).unwrap()
}

pub fn idx_images(bytes: &[u8]) {
    if let Ok(images) = idx::parse_images("fuzzed", bytes) {
        assert_eq!(images.pixels.len(), images.count * images.height * images.width);
        assert!(!images.pixels.is_empty());
    }
}

pub fn idx_labels(bytes: &[u8]) {
    assert!(
        idx::parse_labels("fuzzed", bytes).is_ok_and(|labels| !labels.is_empty())
            || idx::parse_labels("", bytes).is_err()
    );
}

pub fn cifar(bytes: &[u8]) {
    if let Ok(batch) = cifar::parse_batch("fuzzed", bytes) {
        assert_eq!(batch.pixels.len(), batch.labels.len() * 3072);
        assert!(batch.labels.iter().all(|label| *label < 10) && !batch.labels.is_empty());
    }
}

pub fn posterior(bytes: &[u8]) {
    reads(|net| posterior_from_bytes(net, bytes));
}

pub fn compact(bytes: &[u8]) {
    let Ok(net) = CompactNet::from_bytes(bytes) else { return };
    for precision in [Precision::Single, Precision::Posterior] {
        assert!(CompactNet::from_bytes(&net.to_bytes(precision).unwrap()).is_ok());
    }
    // A small file can describe a large image.
    if net.inputs() <= 1 << 12 && net.report().unwrap().flops()[1] <= 1 << 20 {
        let mut scratch = Scratch::default();
        assert_eq!(net.forward(&vec![0.5; 3 * net.inputs()], &mut scratch).unwrap().len(), 3 * net.outputs());
    }
}

pub fn means(bytes: &[u8]) {
    reads(|net| means_from_bytes(net, bytes).map(|count| assert_eq!(count, 8)));
}

pub fn training(bytes: &[u8]) {
    reads(|net| trainer().checkpoint_from_bytes(net, &data(), bytes).map(|history| assert!(history.epochs.len() <= 2)));
}

fn reads(read: impl Fn(&mut Built) -> Result<(), Error>) {
    let (mut target, mut again) = (net(1), net(2));
    let before = written(&target);
    match read(&mut target) {
        Ok(()) => {
            posterior_from_bytes(&mut again, &written(&target)).unwrap();
            assert_eq!(written(&again), written(&target));
        }
        Err(Error::File(_)) => assert_eq!(written(&target), before),
        Err(other) => panic!("{other}"),
    }
}

fn written(net: &Built) -> Vec<u8> {
    posterior_to_bytes(net, &()).unwrap()
}
