//! Compact networks in files: damaged in any way, they are refused, or hold the same network.

use proptest::prelude::*;
use serde_json::Value;
use sparsevd_infer::{
    Activation, CompactNet, Container, Entry, FileError, Form, Op, Pool, PoolKind, Precision, Scratch, Window, compact,
};

fn net() -> CompactNet {
    let numbers =
        |n: usize| (0..n).map(|i| if i % 3 == 0 { (i as f64).sin() + 0.1 } else { 0.0 }).collect::<Vec<f64>>();
    let window = |kernel, stride| Window { kernel, stride, pad: 0, dilation: 1 };
    let sigma = Some(0.01);
    let parts = [
        Op::Conv2d { weights: numbers(3 * 4), bias: numbers(3), sigma, groups: 1, window: window(2, 1) },
        Op::Activation(Activation::Relu),
        Op::Pool(Pool { kind: PoolKind::Max, window: window(2, 2) }),
        Op::Linear { weights: numbers(12 * 2), bias: numbers(2), sigma },
    ];
    compact(&parts, [1, 5, 5]).unwrap()
}

fn outputs(net: &CompactNet) -> Vec<f32> {
    net.forward(&vec![0.5; net.inputs()], &mut Scratch::default()).unwrap().to_vec()
}

/// Shared by threads, each with its scratch.
#[test]
fn is_send_and_sync() {
    let net = net();
    let expected = outputs(&net);
    std::thread::scope(|scope| {
        let threads = [0; 3].map(|_| scope.spawn(|| outputs(&net)));
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), expected));
    });
}

#[test]
fn a_file_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.safetensors");
    net().save(&path, Precision::Single).unwrap();
    assert_eq!(outputs(&CompactNet::load(&path).unwrap()), outputs(&net()));
    std::fs::write(&path, b"else").unwrap();
    assert!(CompactNet::load(&path).unwrap_err().to_string().contains("net.safetensors"));
}

#[test]
fn windows_that_cannot_be() {
    let huge = Window { kernel: 2, stride: 1, pad: usize::MAX, dilation: usize::MAX };
    assert_eq!(huge.outputs([0, 5]), None);
    for window in [huge, Window { kernel: 1 << 33, pad: 1 << 34, dilation: 1, ..huge }] {
        let conv = Op::Conv2d { weights: vec![1.0], bias: vec![0.0], sigma: None, groups: 1, window };
        assert!(compact(&[conv], [1, 5, 5]).is_err());
        let _ = window.output(5);
    }
}

/// Most weights of a dense layer round to zero; the file is read all the same, and what was read can be written.
#[test]
fn a_dense_layer_that_rounds_to_nothing() {
    let weights = (0..300 * 300).map(|i| 0.01 + 1e-4 * f64::from(i % 7)).collect();
    let parts = [Op::Linear { weights, bias: vec![1.0; 300], sigma: Some(1.0) }];
    let net = compact(&parts, [300, 1, 1]).unwrap();
    assert_eq!(net.layers()[0].form(), Form::Dense);
    let once = CompactNet::from_bytes(&net.to_bytes(Precision::Posterior).unwrap()).unwrap();
    let twice = CompactNet::from_bytes(&once.to_bytes(Precision::Posterior).unwrap()).unwrap();
    assert_eq!(outputs(&once), [1.0; 300]);
    assert_eq!(outputs(&twice), [1.0; 300]);
}

/// Unit vectors in, weights out: none is further off than sigma, and not all are as they were.
#[test]
fn weights_are_rounded_by_sigma_at_most() {
    let sigma = 0.03;
    let weights: Vec<f64> = (1..25).map(|i| f64::from(i).sin()).collect();
    let parts = [Op::Linear { weights, bias: vec![0.0; 6], sigma: Some(sigma) }];
    let net = compact(&parts, [4, 1, 1]).unwrap();
    let units: Vec<f32> = (0..16).map(|i| if i % 5 == 0 { 1.0 } else { 0.0 }).collect();
    let read = |precision| {
        let net = CompactNet::from_bytes(&net.to_bytes(precision).unwrap()).unwrap();
        net.forward(&units, &mut Scratch::default()).unwrap().to_vec()
    };
    let (exact, rounded) = (read(Precision::Single), read(Precision::Posterior));
    let off = exact.iter().zip(&rounded).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    assert!(off > 0.5 * sigma && off <= 1.000_01 * sigma, "{off}");
}

#[test]
fn cut_anywhere() {
    for precision in [Precision::Single, Precision::Posterior] {
        let bytes = net().to_bytes(precision).unwrap();
        (0..bytes.len()).for_each(|n| assert!(CompactNet::from_bytes(&bytes[..n]).is_err(), "{n} bytes"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_damaged_byte(at: prop::sample::Index, to: u8) {
        let mut bytes = net().to_bytes(Precision::Posterior).unwrap();
        let expected = outputs(&CompactNet::from_bytes(&bytes).unwrap());
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(net) = CompactNet::from_bytes(&bytes) {
            prop_assert_eq!(outputs(&net), expected);
        }
    }
}

/// The error of reading a valid file after this change.
fn with(change: impl FnOnce(&mut Value, &mut Vec<Entry>)) -> FileError {
    let file = Container::parse("compact", 1, &net().to_bytes(Precision::Single).unwrap()).unwrap();
    let (mut about, mut tensors): (Value, _) = (file.about().unwrap(), file.tensors);
    change(&mut about, &mut tensors);
    let bytes = Container::new(tensors, &about).unwrap().to_bytes("compact", 1).unwrap();
    CompactNet::from_bytes(&bytes).unwrap_err()
}

#[test]
fn contents_that_cannot_be() {
    let says = |error: FileError, what: &str| assert!(error.to_string().contains(what), "{error}");
    let put = |to: Entry| {
        with(|_, tensors| tensors.iter_mut().filter(|t| t.name == to.name).for_each(|tensor| *tensor = to.clone()))
    };
    let layer = |key: &'static str, to: Value| with(|about, _| about["layers"][0][key] = to);
    says(put(Entry::new::<u32>("0.starts", &[4], &[1, 2, 3, 4])), "do not begin with 0");
    says(put(Entry::new::<u32>("0.starts", &[4], &[0, 3, 2, 4])), "row 1 starts at 3 and ends at 2");
    says(put(Entry::new::<u32>("0.starts", &[4], &[0, 2, 3, u32::MAX])), "end with 4294967295");
    says(put(Entry::new::<u8>("0.columns", &[4], &[0, 3, 2, 4])), "column 4 of 4");
    says(put(Entry::new::<u8>("0.columns", &[3], &[0, 3, 2])), "4 numbers, not 3");
    says(put(Entry::new("0.values", &[4], &[0.0_f32, f32::NAN, 2.0, 4.0])), "weight 1 is NaN");
    says(put(Entry::new("0.bias", &[3], &[0.0_f32, f32::INFINITY, 2.0])), "bias 1 is inf");
    let wide = serde_json::json!({"kernel": 2, "stride": 2, "pad": 2, "dilation": 1});
    says(layer("pool", serde_json::json!({"kind": "max", "window": wide})), "some windows read no pixel");
    says(put(Entry::new("0.bias", &[2], &[0.0_f32, 2.0])), "2 numbers, not 3");
    says(with(|_, tensors| tensors.retain(|t| t.name != "1.bias")), "no tensor `1.bias`");
    says(layer("outputs", 1_000_000_000_000_u64.into()), "not 1000000000000");
    says(layer("input", vec![1, 40_000, 5].into()), "reads [1, 40000, 5], not [1, 5, 5]");
    let huge = with(|about, _| {
        about["input"] = vec![1_u64 << 40, 30_000, 30_000].into();
        about["layers"][0]["input"] = about["input"].clone();
    });
    says(huge, "more than 16777216 numbers");
    for (key, to) in
        [("kernel", 0), ("stride", 0), ("dilation", 0), ("pad", u64::MAX), ("kernel", 1 << 40), ("pad", 30_000)]
    {
        with(|about, _| about["layers"][0]["window"][key] = to.into());
        if key != "dilation" {
            with(|about, _| about["layers"][0]["pool"]["window"][key] = to.into());
        }
    }
    says(layer("sigma", (-1.0).into()), "a sigma of -1");
    says(layer("kept", 3.into()), "3 weights by its description, 4 in the file");
    says(layer("step", 0.5.into()), "packed weights have a step and bits, not only one of them: Some(0.5), None");
    says(
        layer(
            "pool",
            serde_json::json!({"kind": "max", "window": {"kernel": 9, "stride": 1, "pad": 0, "dilation": 1}}),
        ),
        "a pool that spans 9 pixels, on an image of 4 x 4",
    );
    says(with(|about, _| about["layers"][1]["before"]["flops"] = u64::MAX.into()), "sizes before");
    says(with(|about, _| about["layers"] = Vec::<Value>::new().into()), "without layers");
}

/// All places in JSON.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_string());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found)),
        Value::Array(all) => all.iter().enumerate().for_each(|(i, value)| places(value, &format!("{at}/{i}"), found)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// A description that makes no sense somewhere, or a tensor that does not, with the checksum of that: a typed
    /// error, or a network that runs and can be written again.
    #[test]
    fn nonsense_is_refused_or_runs(
        spoils in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..3),
        precision in prop::sample::select(vec![Precision::Single, Precision::Posterior]),
    ) {
        let file = Container::parse("compact", 1, &net().to_bytes(precision).unwrap()).unwrap();
        let (mut about, mut tensors): (Value, _) = (file.about().unwrap(), file.tensors);
        for (in_about, at, how) in spoils {
            if in_about {
                let mut all = Vec::new();
                places(&about, "", &mut all);
                let odd = [
                    Value::Null, (-1).into(), 0.into(), 1.into(), 2.into(), 3.into(), u64::MAX.into(), (1_u64 << 31).into(),
                    1e300.into(), (-1e-300).into(), "x".into(), Vec::<Value>::new().into(), vec![1, 2].into(), true.into(),
                ];
                *about.pointer_mut(at.get::<String>(&all)).unwrap() = how.get(&odd).clone();
                continue;
            }
            let i = at.index(tensors.len());
            match how.index(8) {
                0 => tensors[i].bytes.iter_mut().for_each(|byte| *byte = 0xff),
                1 => tensors[i].bytes.iter_mut().for_each(|byte| *byte = 0),
                2 => tensors[i].bytes.iter_mut().step_by(3).for_each(|byte| *byte ^= 0x41),
                3 => tensors[i].shape.push(1),
                4 => tensors[i] = Entry::new(&tensors[i].name, &[0], &[] as &[f32]),
                5 => tensors[i] = Entry::new(&tensors[i].name, &[1], &[7_u32]),
                6 => tensors[i].name += "x",
                _ => tensors.reverse(),
            }
        }
        let bytes = Container::new(tensors, &about).unwrap().to_bytes("compact", 1).unwrap();
        let Ok(net) = CompactNet::from_bytes(&bytes) else { return Ok(()) };
        prop_assert!(CompactNet::from_bytes(&net.to_bytes(precision).unwrap()).is_ok());
        if net.inputs() < 1 << 12 && net.report().unwrap().flops()[1] < 1 << 20 {
            prop_assert_eq!(outputs(&net).len(), net.outputs());
        }
    }
}
