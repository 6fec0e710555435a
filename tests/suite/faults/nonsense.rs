//! Files with a sound checksum whose contents make no sense: a typed error that names the file, the tensor, the number
//! and what it must be, and a network that is as it was.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use sparsevd::{Epoch, load_means, means_from_bytes, posterior_from_bytes, posterior_to_bytes};

use super::*;

/// A file of this kind with something else in it, and the checksum of that.
fn with(kind: &str, file: &[u8], change: impl FnOnce(&mut Value, &mut Vec<Entry>)) -> Vec<u8> {
    let file = Container::parse(kind, 2, file).unwrap();
    let (mut about, mut tensors): (Value, _) = (file.about().unwrap(), file.tensors);
    change(&mut about, &mut tensors);
    Container::new(tensors, &about).unwrap().to_bytes(kind, 2).unwrap()
}

/// Number `index` of a tensor replaced.
fn put(tensors: &mut [Entry], name: &str, index: usize, value: f32) {
    let at = at(tensors, name);
    tensors[at].bytes[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes());
}

fn at(tensors: &[Entry], name: &str) -> usize {
    tensors.iter().position(|tensor| tensor.name == name).unwrap()
}

/// Refused, with a network as it was: what the error says.
fn refused(read: Read, file: &[u8]) -> String {
    let (mut target, before) = (net(2), bytes(&net(2)));
    let error = read(&mut target, file).expect_err("a file that makes no sense");
    assert!(matches!(error, Error::File(_)), "{error:?}");
    assert_eq!(bytes(&target), before, "{error}");
    error.to_string()
}

/// Every kind of file that holds these tensors, means included.
fn readers() -> Vec<(&'static str, Vec<u8>, Read)> {
    let mut all = files().to_vec();
    all.push(("posterior", all[0].1.clone(), |net, bytes| means_from_bytes(net, bytes).map(drop)));
    all
}

#[test]
fn numbers_that_cannot_be() {
    let nonsense = [
        ("0.weight", f32::NAN, "finite"),
        ("0.bias", f32::NEG_INFINITY, "finite"),
        ("0.log_sigma2", f32::INFINITY, "finite"),
        ("0.log_sigma2", 1e30, "every variance"),
        ("3.log_sigma2", 89.0, "every variance"),
        ("1.running_var", f32::NAN, "finite"),
        ("1.running_var", -0.5, "at least 0"),
        ("1.running_mean", f32::INFINITY, "finite"),
        ("adam.v.0.weight", -1e-20, "at least 0"),
        ("adam.v.3.log_sigma2", f32::INFINITY, "finite"),
        ("adam.m.1.scale", f32::NAN, "finite"),
    ];
    for (kind, file, read) in readers() {
        for (tensor, value, must_be) in nonsense {
            if !Container::parse(kind, 2, &file).unwrap().tensors.iter().any(|t| t.name == tensor) {
                continue;
            }
            let spoiled = with(kind, &file, |_, tensors| put(tensors, tensor, 1, value));
            if tensor.ends_with("log_sigma2") && read(&mut net(2), &spoiled).is_ok() {
                means_from_bytes(&mut net(2), &spoiled).expect("means alone do not read it");
                continue;
            }
            let said = refused(read, &spoiled);
            for part in [&format!("`{tensor}` holds {:?}", f64::from(value)), "at index 1", must_be] {
                assert!(said.contains(part), "{kind}: {said}");
            }
        }
    }
}

/// At the edge of what makes sense: these are taken.
#[test]
fn numbers_that_can_be() {
    for (kind, file, read) in readers() {
        for (tensor, value) in [("0.log_sigma2", 88.0), ("0.log_sigma2", -1e30), ("1.running_var", 0.0)] {
            read(&mut net(2), &with(kind, &file, |_, tensors| put(tensors, tensor, 1, value))).unwrap();
        }
    }
}

/// A network that could not be read again is not written, so that it does not replace a valid file.
#[test]
fn a_network_that_cannot_be_is_not_written() {
    let spoiled = |change: fn(&mut Built)| {
        let mut net = net(1);
        change(&mut net);
        posterior_to_bytes(&net, &()).unwrap_err().to_string()
    };
    let says = |said: String, part: &str| assert!(said.contains(part), "{said}");
    says(spoiled(|net| net.1.running_var.copy_from(&[1.0, -2.0])), "`1.running_var` holds -2.0 at index 1; it must be");
    says(spoiled(|net| net.0.set_spread(100.0).unwrap()), "`0.log_sigma2` holds 100.0 at index 0; it must be");
    says(spoiled(|net| net.1.epsilon = f64::NAN), "`1.epsilon` holds NaN");
    says(spoiled(|net| net.1.epsilon = -1.0), "`1.epsilon` holds -1.0");
    says(spoiled(|net| net.1.momentum = 1.5), "`1.momentum` holds 1.5");

    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints { every: 1, ..Checkpoints::at(dir.path().join("training")) };
    let spoil = |net: &mut Built, _: &mut Epoch| {
        net.0.set_spread(100.0).unwrap();
        Ok(ControlFlow::Continue(()))
    };
    let told = trainer().fit_resumable_with(&mut net(1), &DIGITS, &checkpoints, spoil).unwrap_err();
    assert!(matches!(&told, Error::NotFinite { at: Some((1, 0)), .. }), "{told:?}");
    says(told.to_string(), "log_sigma2 is 100 in layer 0, epoch 1, step 0; lower the learning rate");
    says(told.to_string(), "the last good checkpoint is");
    let lying = |_: &mut Built, epoch: &mut Epoch| {
        epoch.train_error = 7.0;
        Ok(ControlFlow::Continue(()))
    };
    let told = trainer().fit_resumable_with(&mut net(1), &DIGITS, &checkpoints, lying).unwrap_err();
    says(told.to_string(), "history, epoch 0");
}

/// Descriptions that cannot be, each at a place in the JSON of a checkpoint.
#[test]
fn descriptions_that_cannot_be() {
    let [_, (kind, file, read)] = files();
    let epoch = "/progress/history/epochs/1";
    let nonsense: Vec<(String, Value, &str)> = [
        (
            "/progress/epoch",
            json!(3),
            "epoch 3, step 0, after 6 steps and 2 epochs of history; this training run has 2 epochs of 3",
        ),
        ("/progress/epoch", json!(u64::MAX), "this training run has 2 epochs"),
        ("/progress/epoch", json!(-1), "about"),
        ("/progress/step", json!(1), "step 1"),
        ("/progress/step", json!(u64::MAX), "step 18446744073709551615"),
        ("/progress/nll", json!(null), "about"),
        ("/progress/wrong", json!(u64::MAX), "wrong is 1.8446744073709552e19; it must be from 0 to 0"),
        ("/progress/seconds", json!(-1.0), "seconds is -1.0"),
        ("/progress/history/epochs", json!([]), "0 epochs of history"),
        (
            "/progress/history/sparsity_at_start",
            json!(7.0),
            "history: sparsity_at_start is 7.0; it must be from 0 to 1",
        ),
        ("/steps", json!(7), "after 7 steps"),
        ("/steps", json!(1_u64 << 40), "about"),
        ("/begun", json!(7), "after 7 steps of 6"),
        ("/begun", json!(-1), "after -1 steps of 6"),
        ("/trainer/batch", json!(0), "trainer: `batch` is 0 in the file, 20 here"),
        ("/trainer/learning_rate", json!(-1e300), "trainer: `learning_rate` is -1e+300 in the file"),
        ("/data/examples", json!(u64::MAX), "data: `examples` is 18446744073709551615 in the file, 60 here"),
        ("/layers/1/0", json!("0"), "the file describes layer 0 twice"),
        ("/layers", json!([]), "the file has no layer 0"),
        ("/scalars", json!([]), "about"),
        ("/scalars/1.epsilon", json!(-1.0), "`1.epsilon` holds -1.0 at index 0; it must be at least 0"),
        ("/scalars/1.momentum", json!(1e30), "`1.momentum` holds 1e30 at index 0; it must be between"),
        ("/scalars", json!({"1.epsilon": 1e-5, "1.momentum": 0.1, "2.p": 0.5}), "the network has no `2.p`"),
    ]
    .map(|(at, value, said)| (at.to_string(), value, said))
    .into_iter()
    .chain([
        (format!("{epoch}/epoch"), json!(5), "history, epoch 1: epoch is 5.0; it must be from 1 to 1"),
        (
            format!("{epoch}/learning_rate"),
            json!(-1.0),
            "history, epoch 1: learning_rate is -1.0; it must be finite and at least 0",
        ),
        (format!("{epoch}/nll"), json!(null), "about"),
        (format!("{epoch}/train_error"), json!(1.5), "history, epoch 1: train_error is 1.5; it must be from 0 to 1"),
        (format!("{epoch}/seconds"), json!(-2.0), "history, epoch 1: seconds is -2.0"),
        (
            format!("{epoch}/sparsity/layers/0/kept"),
            json!(u64::MAX),
            "history, epoch 1: 18446744073709551615 of 128 weights are kept",
        ),
        (format!("{epoch}/sparsity/layers/0/weights"), json!(0), "of 0 weights are kept"),
    ])
    .collect();
    for (at, value, part) in nonsense {
        let spoiled = with(kind, &file, |about, _| *about.pointer_mut(&at).expect(&at) = value);
        let said = refused(read, &spoiled);
        assert!(said.contains(part), "{at}: {said}");
    }
    // A number that JSON can write and f64 cannot hold.
    let sound = Container::parse(kind, 2, &file).unwrap();
    let about = sound.about.replacen("\"nll\":", "\"nll\":1e999,\"or\":", 1);
    refused(read, &Container { about, ..sound }.to_bytes(kind, 2).unwrap());
}

/// Two tensors of one name, which only a file by hand can have; one without numbers; none at all.
#[test]
fn tensors_that_cannot_be() {
    for (kind, file, read) in readers() {
        let name = |change: fn(&mut Vec<Entry>)| refused(read, &with(kind, &file, |_, tensors| change(tensors)));
        let empty = name(|tensors| {
            let bias = at(tensors, "0.bias");
            tensors[bias] = Entry::new("0.bias", &[0], &[] as &[f32]);
        });
        assert!(empty.contains("`0.bias` is [0] in the file, [2] here") || empty.contains("no `0.bias`"), "{empty}");
        assert!(name(Vec::clear).contains("the file has no `0.weight`"));
        let size = 8 + usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
        let header = String::from_utf8(file[8..size].to_vec()).unwrap();
        let twice = header.replacen("\"0.bias\"", "\"1.bias\"", 1);
        refused(read, &[&(twice.len() as u64).to_le_bytes()[..], twice.as_bytes(), &file[size..]].concat());
    }
}

/// From the disk, they name the file.
#[test]
fn files_that_make_no_sense_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nonsense.safetensors");
    let [(kind, posterior, _), (training, checkpoint, _)] = files();
    let spoil = |_: &mut Value, tensors: &mut Vec<Entry>| put(tensors, "1.running_var", 0, -1.0);
    let named = |error: Error| {
        let said = format!("{}: `1.running_var` holds -1.0 at index 0", path.display());
        assert!(error.to_string().starts_with(&said), "{error}");
    };
    std::fs::write(&path, with(kind, &posterior, spoil)).unwrap();
    named(load_posterior(&mut net(2), &path).unwrap_err());
    named(load_means(&mut net(2), &path).unwrap_err());
    std::fs::write(&path, with(training, &checkpoint, spoil)).unwrap();
    let go_on = |_: &mut _, _: &mut Epoch| Ok(ControlFlow::Continue(()));
    let resumed = Checkpoints { resume: true, ..Checkpoints::at(&path) };
    named(trainer().fit_resumable_with(&mut net(2), &DIGITS, &resumed, go_on).unwrap_err());
}

static FILES: LazyLock<Vec<(&'static str, Vec<u8>, Read)>> = LazyLock::new(readers);

/// All places in JSON.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_string());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found)),
        Value::Array(all) => all.iter().enumerate().for_each(|(i, value)| places(value, &format!("{at}/{i}"), found)),
        _ => {}
    }
}

/// A description that makes no sense in one place, or a tensor that does not.
fn spoil(about: &mut Value, tensors: &mut Vec<Entry>, (in_about, at, how): (bool, Index, Index)) {
    if in_about {
        let mut all = Vec::new();
        places(about, "", &mut all);
        let place = about.pointer_mut(at.get::<String>(&all)).unwrap();
        let odd = [
            json!(null),
            json!(-1),
            json!(0),
            json!(1),
            json!(u64::MAX),
            json!(1_u64 << 31),
            json!(1e300),
            json!(-1e-300),
            json!(""),
            json!("x"),
            json!([]),
            json!({}),
            json!(true),
            json!([[1, 2], 3]),
        ];
        *place = how.get(&odd).clone();
        return;
    }
    let i = at.index(tensors.len());
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, -1.0, 0.0, 89.0, 1e10, -1e10];
    match how.index(odd.len() + 4) {
        n if n < odd.len() && !tensors[i].bytes.is_empty() => {
            let name = tensors[i].name.clone();
            put(tensors, &name, 0, odd[n]);
        }
        9 => drop(tensors.remove(i)),
        10 => tensors[i].shape.push(1),
        11 => tensors[i] = Entry::new(&tensors[i].name, &[0], &[] as &[f32]),
        _ => tensors[i].name += "x",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Whatever makes no sense is refused by a typed error, and leaves the network as it was; what is taken can be
    /// written, and gives predictions that are numbers; training goes on from it or says why not.
    #[test]
    fn nothing_is_half_read(file: Index, spoils in prop::collection::vec((any::<bool>(), any::<Index>(), any::<Index>()), 1..3)) {
        let (kind, bytes_of, read) = file.get(&FILES);
        let spoiled = with(kind, bytes_of, |about, tensors| {
            spoils.into_iter().for_each(|how| if !tensors.is_empty() { spoil(about, tensors, how) });
        });
        let (mut target, before) = (net(2), bytes(&net(2)));
        match read(&mut target, &spoiled) {
            Ok(()) => {
                let mut again = net(3);
                posterior_from_bytes(&mut again, &bytes(&target)).unwrap();
                prop_assert_eq!(bytes(&again), bytes(&target));
                // Without an epsilon, a variance of 0 may be divided by.
                let scored = predict(&mut target, &*DIGITS, Evaluate::Mean).map(|p| p.score(DIGITS.labels()));
                let finite = matches!(&scored, Ok(Ok(score)) if score.nll.is_finite());
                prop_assert!(finite || target.1.epsilon == 0.0, "{scored:?}");
                let once = Trainer { epochs: 1, ..trainer() }.fit(&mut target, &DIGITS);
                prop_assert!(matches!(once, Ok(_) | Err(Error::NotFinite { .. })), "{once:?}");
            }
            Err(Error::File(_)) => prop_assert_eq!(bytes(&target), before),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
