//! Posteriors in files: exact, complete, and refused where they do not fit.

use crate::common::{floats, put};
use serde_json::json;
use sparsevd::infer::{Container, Dtype, Entry};
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{
    Bernoulli, FileError, Fixed, PerOutput, load_means, means_from_bytes, posterior_about, posterior_from_bytes,
    posterior_to_bytes, save_posterior_with,
};

type Conv = Variational<Conv2dMap<1, 4, 3, 1, 1, 1, 1, 1, false>, Additive, Ard>;
type Mixed = (
    (Conv, BatchNorm<4>, ReLU, MaxPool2d<2>),
    Flatten<64>,
    Variational<LinearMap<64, 9>, Multiplicative<PerOutput>, LogUniform>,
    ReLU,
    (Variational<LinearMap<9, 8>, Multiplicative<Fixed>, Flat>, DropoutLinear<8, 7>),
    DenseLinear<7, 3>,
);
type Small = (SparseVdLinear<4, 3>, ReLU, ArdLinear<3, 2>);

/// A network whose every number is its own.
fn mixed<E: Elem>(seed: u64) -> <Mixed as BuildOnDevice<Cpu, E>>::Built
where
    Cpu: Backend<E>,
{
    let dev = Cpu::seed_from_u64(seed);
    let mut net = dev.build_module::<Mixed, E>();
    let positive: Vec<f64> = (0..100).map(|i| 0.1 + ((i + seed) as f64).sin().powi(2)).collect();
    put(&mut net.0.0.spread, &positive);
    put(&mut net.2.spread, &positive[1..]);
    put(&mut net.4.0.spread, &positive[2..]);
    put(&mut net.0.1.scale, &positive[3..]);
    put(&mut net.0.1.bias, &positive[4..]);
    put(&mut net.0.1.running_mean, &positive[5..]);
    put(&mut net.0.1.running_var, &positive[6..]);
    net
}

fn small(seed: u64) -> <Small as BuildOnDevice<Cpu, f32>>::Built {
    Cpu::seed_from_u64(seed).build_module::<Small, f32>()
}

fn bytes<N, E: Elem>(net: &N) -> Vec<u8>
where
    Cpu: Backend<E>,
    N: Network<E, Cpu> + dfdx::prelude::TensorCollection<E, Cpu>,
{
    posterior_to_bytes(net, &()).unwrap()
}

fn problem(result: Result<impl std::fmt::Debug, Error>) -> FileError {
    match result {
        Err(Error::File(FileError::In { problem, .. })) => *problem,
        Err(Error::File(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

fn mismatches(result: Result<impl std::fmt::Debug, Error>) -> Vec<String> {
    match problem(result) {
        FileError::Mismatch(problems) => problems,
        other => panic!("{other:?}"),
    }
}

/// The file of `net` after its tensors were changed.
fn changed(net: &impl SmallNet, change: impl FnOnce(&mut Vec<Entry>)) -> Vec<u8> {
    let mut file = Container::parse("posterior", 2, &bytes(net)).unwrap();
    change(&mut file.tensors);
    file.to_bytes("posterior", 2).unwrap()
}

trait SmallNet: Network<f32, Cpu> + dfdx::prelude::TensorCollection<f32, Cpu> {}
impl<N: Network<f32, Cpu> + dfdx::prelude::TensorCollection<f32, Cpu>> SmallNet for N {}

fn comes_back<E: Elem>()
where
    Cpu: Backend<E>,
{
    let (dir, from, mut to) = (tempfile::tempdir().unwrap(), mixed::<E>(1), mixed::<E>(2));
    let path = dir.path().join("new folder/posterior.safetensors");
    assert_ne!(bytes(&from), bytes(&to));
    save_posterior(&from, &path).unwrap();
    load_posterior(&mut to, &path).unwrap();
    assert_eq!(bytes(&from), bytes(&to));
    assert_eq!(floats(&to.0.1.running_var), floats(&from.0.1.running_var));
    assert_eq!(floats(&to.4.0.spread), floats(&from.4.0.spread));
    let pixels: Vec<f64> = (0..5 * 64).map(|i| f64::from(i).cos()).collect();
    let mut x: Tensor<(usize, Const<1>, usize, usize), E, _> = Cpu::default().zeros_like(&(5, Const, 8, 8));
    put(&mut x, &pixels);
    assert_eq!(floats(&to.forward(x.clone())), floats(&from.forward(x)));
}

#[test]
fn every_number_comes_back() {
    comes_back::<f32>();
    comes_back::<f64>();
}

#[test]
fn the_file_has_what_the_documentation_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("posterior.safetensors");
    save_posterior_with(&mixed::<f32>(1), &path, &json!({"epochs": 3})).unwrap();
    let file = Container::read(&path, "posterior", 2).unwrap();
    let names: Vec<(&str, &[usize])> = file.tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice())).collect();
    let expected: [(&str, &[usize]); 14] = [
        ("0.0.log_sigma2", &[4, 1, 3, 3]),
        ("0.0.weight", &[4, 1, 3, 3]),
        ("0.1.bias", &[4]),
        ("0.1.running_mean", &[4]),
        ("0.1.running_var", &[4]),
        ("0.1.scale", &[4]),
        ("2.bias", &[9]),
        ("2.log_alpha", &[9]),
        ("2.weight", &[9, 64]),
        ("4.0.bias", &[8]),
        ("4.0.log_alpha", &[1]),
        ("4.0.weight", &[8, 9]),
        ("4.1.bias", &[7]),
        ("4.1.weight", &[7, 8]),
    ];
    assert_eq!(names[..14], expected);
    assert_eq!(names[14..], [("5.bias", &[3][..]), ("5.weight", &[3, 7])]);

    let about = posterior_about(&path).unwrap();
    assert_eq!((about.configuration, about.layers.len()), (json!({"epochs": 3}), 5));
    let (path, layer) = &about.layers[1];
    assert_eq!((path.as_str(), layer.map.to_string()), ("2", r#"linear {"bias":true,"inputs":64,"outputs":9}"#.into()));
    assert_eq!(layer.posterior.to_string(), r#"multiplicative {"alpha":"per_output"}"#);
    assert!(layer.prior.id == "log_uniform", "{}", layer.prior);
}

#[test]
fn everything_that_does_not_fit_is_named_and_nothing_changed() {
    type Other = (SparseVdLinear<4, 5>, ReLU, SparseVdLinear<5, 2>, ReLU, DenseLinear<2, 2>);
    let from = small(1);
    let mut to = Cpu::seed_from_u64(2).build_module::<Other, f64>();
    let before = bytes(&to);
    let problems = mismatches(posterior_from_bytes(&mut to, &bytes(&from)));
    for part in ["layer 0: its map", "layer 2: its map", "layer 2: its prior is ard ", "no layer 4", "no `4.weight`"] {
        assert!(problems.iter().any(|p| p.contains(part)), "{part}: {problems:?}");
    }
    assert!(problems.iter().any(|p| p == "`0.weight` is [3, 4] in the file, [5, 4] here"), "{problems:?}");
    assert!(problems.iter().any(|p| p.contains("`2.bias`") && p.contains("F32, not F64")), "{problems:?}");
    assert_eq!(bytes(&to), before);

    let mut longer = small(2);
    let extra = changed(&from, |tensors| tensors.push(Entry::new("6.weight", &[1], &[1.0_f32])));
    assert_eq!(mismatches(posterior_from_bytes(&mut longer, &extra)), ["the network has no `6.weight`"]);
}

/// The layers' hyper-parameters are part of the posterior; how they train is not.
#[test]
fn another_prior_is_another_posterior() {
    let (mut from, mut to) = (small(1), small(2));
    from.configure(Settings { masking: Masking::Means(3.0), ..Settings::default() });
    posterior_from_bytes(&mut to, &bytes(&from)).unwrap();
    from.set_prior(Ard::per_output()).unwrap();
    let problems = mismatches(posterior_from_bytes(&mut to, &bytes(&from)));
    assert!(problems.len() == 1 && problems[0].starts_with("layer 2: its prior is ard "), "{problems:?}");
    to.set_prior(Ard::per_output()).unwrap();
    posterior_from_bytes(&mut to, &bytes(&from)).unwrap();

    type Dropout = DropoutLinear<4, 2>;
    let mut a = Cpu::seed_from_u64(1).build_module::<Dropout, f32>();
    let file = bytes(&a);
    a.posterior = Bernoulli::new(0.25).unwrap();
    let problems = mismatches(posterior_from_bytes(&mut a, &file));
    assert!(problems.len() == 1 && problems[0].contains(r#""rate":0.5"#), "{problems:?}");
}

#[test]
fn no_number_is_taken_that_is_none() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (mut from, mut to) = (small(1), small(2));
        let mut spread = from.2.spread.as_vec();
        spread[4] = bad;
        from.2.spread.copy_from(&spread);
        let before = bytes(&to);
        let refused = |error: &FileError| match error {
            FileError::NotFinite { tensor, index: 4, .. } => tensor == "2.log_sigma2",
            _ => false,
        };
        assert!(
            refused(&problem(posterior_to_bytes(&from, &()).map(drop))),
            "or it would replace a file that can be read"
        );
        let read = changed(&small(1), |tensors| {
            let spread = tensors.iter_mut().find(|t| t.name == "2.log_sigma2").unwrap();
            spread.bytes[16..20].copy_from_slice(&bad.to_le_bytes());
        });
        assert!(refused(&problem(posterior_from_bytes(&mut to, &read))));
        let weights = changed(&small(1), |tensors| {
            tensors.retain(|t| t.name.ends_with("weight") || t.name.ends_with("bias"));
            tensors[0].bytes[..4].copy_from_slice(&bad.to_le_bytes());
        });
        let error = problem(means_from_bytes(&mut to, &weights));
        assert!(matches!(&error, FileError::NotFinite { tensor, index: 0, .. } if tensor == "0.bias"), "{error}");
        assert_eq!(bytes(&to), before);
    }
}

/// A safetensors file as PyTorch writes it: no metadata of ours.
fn foreign(tensors: &[Entry]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut header = serde_json::Map::new();
    for t in tensors {
        let (start, end) = (data.len(), data.len() + t.bytes.len());
        data.extend(&t.bytes);
        let info = json!({"dtype": t.dtype.to_string(), "shape": t.shape, "data_offsets": [start, end]});
        header.insert(t.name.clone(), info);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

fn numbers(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 + 0.1) / 7.0).collect()
}

#[test]
fn means_come_from_pytorch() {
    let mut net = Cpu::seed_from_u64(1).build_module::<(SparseVdLinear<2, 3>, BatchNorm<3>), f32>();
    net.0.set_spread(-7.0).unwrap();
    let state = [
        Entry::new("0.weight", &[3, 2], &numbers(6)),
        Entry::new("0.bias", &[3], &[1.0_f32, 2.0, 3.0]),
        Entry::new("1.weight", &[3], &[4.0_f32, 5.0, 6.0]),
        Entry::new("1.bias", &[3], &[7.0_f32, 8.0, 9.0]),
        Entry::new("1.running_mean", &[3], &[-1.0_f32, -2.0, -3.0]),
        Entry::new("1.running_var", &[3], &[0.1_f32, 0.2, 0.3]),
        Entry { dtype: Dtype::I64, ..Entry::new("1.num_batches_tracked", &[], &[5.0_f64]) },
    ];
    assert_eq!(means_from_bytes(&mut net, &foreign(&state)).unwrap(), 6);
    let single: Vec<f64> = numbers(6).into_iter().map(|x| f64::from(x as f32)).collect();
    assert_eq!(floats(&net.0.theta), single);
    assert_eq!((floats(&net.0.bias), floats(&net.0.spread)), (vec![1.0, 2.0, 3.0], vec![-7.0; 6]));
    assert_eq!((floats(&net.1.scale), floats(&net.1.bias)), (vec![4.0, 5.0, 6.0], vec![7.0, 8.0, 9.0]));
    assert_eq!(floats(&net.1.running_mean), [-1.0, -2.0, -3.0]);
    assert_eq!(floats(&net.1.running_var), [0.1_f32, 0.2, 0.3].map(f64::from));
    assert!(matches!(problem(posterior_from_bytes(&mut net, &foreign(&state))), FileError::Foreign));
}

#[test]
fn a_layer_norm_has_other_names_in_pytorch() {
    let mut net = Cpu::seed_from_u64(1).build_module::<(SparseVdLinear<2, 3>, LayerNorm1D<3>), f32>();
    let state = [
        Entry::new("0.weight", &[3, 2], &numbers(6)),
        Entry::new("0.bias", &[3], &[1.0_f32, 2.0, 3.0]),
        Entry::new("1.weight", &[3], &[4.0_f32, 5.0, 6.0]),
        Entry::new("1.bias", &[3], &[7.0_f32, 8.0, 9.0]),
    ];
    assert_eq!(means_from_bytes(&mut net, &foreign(&state)).unwrap(), 4);
    assert_eq!((floats(&net.1.gamma), floats(&net.1.beta)), (vec![4.0, 5.0, 6.0], vec![7.0, 8.0, 9.0]));
}

#[test]
fn means_come_from_our_own_files() {
    let (from, mut to) = (small(1), small(2));
    let spread = floats(&to.0.spread);
    assert_eq!(means_from_bytes(&mut to, &bytes(&from)).unwrap(), 4);
    assert_eq!((floats(&to.0.theta), floats(&to.2.bias)), (floats(&from.0.theta), floats(&from.2.bias)));
    assert_eq!(floats(&to.0.spread), spread);
    let mut damaged = bytes(&from);
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(problem(means_from_bytes(&mut to, &damaged)), FileError::Checksum { .. }));
}

#[test]
fn means_that_do_not_fit_are_named() {
    let mut net = Cpu::seed_from_u64(1).build_module::<(SparseVdLinear<2, 3>, BatchNorm<3>), f32>();
    let before = bytes(&net);
    let state = [
        Entry::new("0.weight", &[2, 3], &numbers(6)),
        Entry { dtype: Dtype::F16, ..Entry::new("0.bias", &[3], &[1_u16, 2, 3]) },
        Entry::new("1.weight", &[3], &numbers(3)),
        Entry::new("1.bias", &[3], &numbers(3)),
        Entry::new("2.weight", &[3], &[f32::NAN; 3]),
    ];
    let problems = mismatches(means_from_bytes(&mut net, &foreign(&state)));
    assert_eq!(
        problems,
        [
            "`0.weight` is [2, 3] in the file, [3, 2] here",
            "`0.bias` is F16 in the file; convert it to F32 or F64",
            "the file has no `1.running_mean`",
            "the file has no `1.running_var`",
            "the network has no `2.weight`",
        ]
    );
    // Finite in the file, but not in the network's precision.
    let mut one = Cpu::seed_from_u64(1).build_module::<SparseVdLinear<1, 1>, f32>();
    let large = [Entry::new("weight", &[1, 1], &[1e300]), Entry::new("bias", &[1], &[0.0])];
    let error = problem(means_from_bytes(&mut one, &foreign(&large)));
    assert!(matches!(error, FileError::NotFinite { index: 0, .. }), "{error}");
    assert_eq!(bytes(&net), before);
}

/// The bias of a network without one would change what it computes.
#[test]
fn a_bias_nobody_has_is_not_passed_over() {
    let mut net =
        Cpu::seed_from_u64(1).build_module::<Variational<LinearMap<1, 2, false>, Additive, LogUniform>, f32>();
    let mut state = vec![Entry::new("weight", &[2, 1], &[1.0_f32, 2.0])];
    assert_eq!(means_from_bytes(&mut net, &foreign(&state)).unwrap(), 1);
    state.push(Entry::new("bias", &[2], &[1.0_f32, 2.0]));
    assert_eq!(mismatches(means_from_bytes(&mut net, &foreign(&state))), ["the network has no `bias`"]);
}

#[test]
fn errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nothing.safetensors");
    let named = |error: Error| assert!(error.to_string().contains("nothing.safetensors"), "{error}");
    named(load_posterior(&mut small(1), &path).unwrap_err());
    named(load_means(&mut small(1), &path).unwrap_err());
    std::fs::write(&path, bytes(&mixed::<f32>(1))).unwrap();
    named(load_posterior(&mut small(1), &path).unwrap_err());
    named(load_means(&mut small(1), &path).unwrap_err());
    named(posterior_about(dir.path().join("nothing.safetensors/inside")).unwrap_err());
    let error = save_posterior(&small(1), path.join("inside")).unwrap_err();
    assert!(matches!(error, Error::File(FileError::Write { .. })), "{error}");
    named(error);
}
