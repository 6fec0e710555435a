//! Trainings that are interrupted and go on: to the same bits, or not at all.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use sparsevd::data::{Augment, Images, Layout};
use sparsevd::infer::Container;
use sparsevd::prelude::*;
use sparsevd::{Classifier, Epoch, FileError, Group, History, Parameters, PerOutput, WarmUp, posterior_to_bytes};

type Dense = (SparseVdLinear<64, 12>, ReLU, Variational<LinearMap<12, 10>, Multiplicative<PerOutput>, Ard>);
type Image = (
    (Variational<Conv2dMap<1, 3, 3, 1, 1, 1, 1, 1, false>, Additive, LogUniform>, BatchNorm<3>, ReLU, MaxPool2d<2>),
    Flatten<48>,
    DropoutLinear<48, 10>,
);

/// 6 steps an epoch; 4 data are left over each time.
fn digits() -> Dataset {
    Split::optdigits().unwrap().centred().into_parts().0.take(124, 0).unwrap()
}

fn trainer() -> Trainer {
    let (epochs, batch, learning_rate) = (3, 20, 5e-3);
    Trainer {
        epochs,
        batch,
        learning_rate,
        warm_up: WarmUp::Epochs(0.0, 2.0),
        seed: 7,
        progress: false,
        ..Trainer::default()
    }
}

fn dense(seed: u64) -> <Dense as BuildOnDevice<Cpu, f32>>::Built {
    Cpu::seed_from_u64(seed).build_module::<Dense, f32>()
}

fn go_on<N>(_: &mut N, _: &mut Epoch) -> Result<ControlFlow<()>, Error> {
    Ok(ControlFlow::Continue(()))
}

/// The contents that must be the same: every tensor, Adam's moments included, and the history without its times.
fn contents(path: &Path) -> (Container, History) {
    let file = Container::read(path, "training", 2).unwrap();
    let about: serde_json::Value = file.about().unwrap();
    let history = serde_json::from_value(about["progress"]["history"].clone()).unwrap();
    (Container { about: String::new(), ..file }, timeless(history))
}

fn timeless(mut history: History) -> History {
    history.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    history
}

/// Stops after `steps` steps, one session for each, and every session with a network of its own; then goes on to the
/// end. Also goes on from the checkpoint that a killed training leaves, some steps before its end.
fn the_same<N, const I: usize, E: Elem, L: Layout>(build: fn(u64) -> N, data: &Dataset<L>, trainer: &Trainer)
where
    Cpu: Backend<E>,
    N: Classifier<I, 10, E, Cpu, L>,
{
    the_same_where(build, data, trainer, |_| {});
}

/// With a change after the first epoch.
fn the_same_where<N, const I: usize, E: Elem, L: Layout>(
    build: fn(u64) -> N,
    data: &Dataset<L>,
    trainer: &Trainer,
    change: fn(&mut N),
) where
    Cpu: Backend<E>,
    N: Classifier<I, 10, E, Cpu, L>,
{
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let scored = |net: &mut N, epoch: &mut Epoch| {
        if epoch.epoch == 0 {
            change(net);
        }
        epoch.test = predict(net, data, Evaluate::Mean).unwrap().score(data.labels()).ok();
        Ok(ControlFlow::Continue(()))
    };
    let mut net = build(1);
    let plain = trainer.fit_with(&mut net, data, scored).unwrap();
    let mut kept = build(1);
    let whole = Checkpoints { every: 4, ..Checkpoints::at(file("whole")) };
    let copy_then_score = |net: &mut N, epoch: &mut Epoch| {
        if epoch.epoch == 1 {
            fs::copy(file("whole"), file("killed")).unwrap();
        }
        scored(net, epoch)
    };
    let history = trainer.fit_resumable_with(&mut kept, data, &whole, copy_then_score).unwrap();
    assert_eq!(posterior_to_bytes(&kept, &()).unwrap(), posterior_to_bytes(&net, &()).unwrap());
    assert_eq!(timeless(history), timeless(plain.clone()));
    let expected = contents(&file("whole"));
    assert_eq!(expected.1, timeless(plain));
    assert!(expected.0.tensors.iter().any(|t| t.name.starts_with("adam.v.") && t.bytes.iter().any(|b| *b != 0)));

    // At the end of epoch 1, the last checkpoint was written after 8 steps of 12.
    let killed = Checkpoints { resume: true, ..Checkpoints::at(file("killed")) };
    trainer.fit_resumable_with(&mut build(2), data, &killed, scored).unwrap();
    assert_eq!(contents(&file("killed")), expected, "from step 8");

    for steps in [1, 5, 6, 9, 12, 17] {
        let path = file(&format!("stopped after {steps}"));
        let (now, mut seen) = (AtomicBool::new(true), Vec::new());
        let mut session = |seed: u64, stop: bool| {
            let stop = stop.then_some(&now);
            let checkpoints = Checkpoints { resume: true, stop, ..Checkpoints::at(&path) };
            let after_epoch = |net: &mut N, epoch: &mut Epoch| {
                seen.push(epoch.epoch);
                scored(net, epoch)
            };
            trainer.fit_resumable_with(&mut build(seed), data, &checkpoints, after_epoch).unwrap()
        };
        for step in 0..steps {
            let history = session(if step == 0 { 1 } else { 2 + step }, true);
            assert!(history.stopped && history.epochs.len() == (step as usize + 1) / 6);
        }
        assert!(!session(100, false).stopped);
        assert_eq!(contents(&path), expected, "stopped after {steps} steps");
        assert_eq!(seen, [0, 1, 2]);
    }
}

#[test]
fn an_interruption_changes_no_bit_of_a_dense_network() {
    the_same(dense, &digits(), &trainer());
}

/// Adam begins anew with it, and knows that it did.
#[test]
fn nor_of_one_where_a_tensor_is_replaced() {
    the_same_where(dense, &digits(), &trainer(), |net| net.0.theta = net.0.theta.clone() * 0.5);
}

#[test]
fn nor_of_one_with_parameter_groups() {
    let groups = vec![Group::new(Parameters::LogVariances, 20.0), Group::new(Parameters::part("2"), 0.5)];
    the_same(dense, &digits(), &Trainer { groups, ..trainer() });
}

#[test]
fn nor_in_double_precision() {
    the_same(|seed| Cpu::seed_from_u64(seed).build_module::<Dense, f64>(), &digits(), &trainer());
}

/// Batch norm's running moments, and augmentation.
#[test]
fn nor_of_a_network_of_images() {
    let trainer = Trainer { augment: Augment { crop_pad: 1, warp: 0.1, flip: true }, ..trainer() };
    the_same(|seed| Cpu::seed_from_u64(seed).build_module::<Image, f32>(), &digits().images(), &trainer);
}

#[test]
fn nor_of_one_in_double_precision() {
    type Built = <Image as BuildOnDevice<Cpu, f64>>::Built;
    let build: fn(u64) -> Built = |seed| Cpu::seed_from_u64(seed).build_module::<Image, f64>();
    the_same::<Built, 1, f64, Images>(build, &digits().images(), &trainer());
}

/// A training in a folder of its own, and the bytes of its checkpoint.
fn trained() -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("training");
    trainer().fit_resumable_with(&mut dense(1), &digits(), &Checkpoints::at(&path), go_on).unwrap();
    let bytes = fs::read(path).unwrap();
    (dir, bytes)
}

#[test]
fn what_is_finished_is_given_back() {
    let (dir, bytes) = trained();
    let path = dir.path().join("training");
    let (mut again, mut other) = (dense(9), dense(9));
    let checkpoints = Checkpoints { resume: true, ..Checkpoints::at(&path) };
    let never = |_: &mut _, _: &mut Epoch| panic!("no epoch is left");
    let history = trainer().fit_resumable_with(&mut again, &digits(), &checkpoints, never).unwrap();
    assert!(history.epochs.len() == 3 && !history.stopped);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(history, trainer().checkpoint_from_bytes(&mut other, &digits(), &bytes).unwrap());
    assert_eq!(posterior_to_bytes(&again, &()).unwrap(), posterior_to_bytes(&other, &()).unwrap());
    assert_ne!(posterior_to_bytes(&again, &()).unwrap(), posterior_to_bytes(&dense(9), &()).unwrap());

    // Without `resume` it starts again.
    let mut fresh = dense(1);
    let history = trainer().fit_resumable_with(&mut fresh, &digits(), &Checkpoints::at(&path), go_on).unwrap();
    assert_eq!((history.epochs.len(), contents(&path).1), (3, timeless(history)));
    assert_eq!(posterior_to_bytes(&fresh, &()).unwrap(), posterior_to_bytes(&again, &()).unwrap());
}

#[test]
fn a_caller_that_stops_can_go_on() {
    let (dir, bytes) = trained();
    let path = dir.path().join("other");
    let checkpoints = Checkpoints { resume: true, ..Checkpoints::at(&path) };
    let stop_at_1 = |_: &mut _, epoch: &mut Epoch| {
        Ok(if epoch.epoch == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    let history = trainer().fit_resumable_with(&mut dense(1), &digits(), &checkpoints, stop_at_1).unwrap();
    assert!(history.stopped && history.epochs.len() == 2);
    trainer().fit_resumable_with(&mut dense(2), &digits(), &checkpoints, go_on).unwrap();
    fs::write(dir.path().join("training"), bytes).unwrap();
    assert_eq!(contents(&path), contents(&dir.path().join("training")));
}

fn mismatches(result: Result<History, Error>) -> Vec<String> {
    match result {
        Err(Error::File(FileError::Mismatch(problems))) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_that_differs_is_named_and_nothing_changed() {
    let (_dir, bytes) = trained();
    let mut net = dense(3);
    net.0.settings.masking = Masking::Means(3.0);
    net.2.prior = Ard::per_output();
    let before = posterior_to_bytes(&net, &()).unwrap();
    let data = digits().take(123, 0).unwrap();
    let groups = vec![Group::new(Parameters::Means, 0.5)];
    let other = Trainer { groups, learning_rate: 0.25, seed: 8, progress: true, ..trainer() };
    let problems = mismatches(other.checkpoint_from_bytes(&mut net, &data, &bytes));
    let expected = [
        "trainer: `groups` is [] in the file, [",
        "trainer: `learning_rate` is 0.005 in the file, 0.25 here",
        "trainer: `seed` is 7 in the file, 8 here",
        "data: `examples` is 124 in the file, 123 here",
        "data: `inputs` is ",
        "data: `labels` is ",
        "layer 0: its settings is ",
        "layer 2: its prior is ard ",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, start) in problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem}");
    }
    assert_eq!(posterior_to_bytes(&net, &()).unwrap(), before);

    type Wider = (SparseVdLinear<64, 13>, ReLU, SparseVdLinear<13, 10>);
    let mut wider = Cpu::seed_from_u64(1).build_module::<Wider, f32>();
    let problems = mismatches(trainer().checkpoint_from_bytes(&mut wider, &digits(), &bytes));
    for part in ["layer 0: its map", "layer 2: its posterior", "`adam.v.0.weight` is [12, 64]", "no `2.log_sigma2`"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
    }
    let mut double = Cpu::seed_from_u64(1).build_module::<Dense, f64>();
    let problems = mismatches(trainer().checkpoint_from_bytes(&mut double, &digits(), &bytes));
    let (advice, problems) = problems.split_last().unwrap();
    assert!(problems.iter().all(|problem| problem.contains("F32, not F64")), "{problems:?}");
    assert!(advice.contains("to_dtype"), "{advice}");
}

/// The file must be sound beyond its checksum, which a file from elsewhere need not have.
#[test]
fn a_position_that_cannot_be_is_refused() {
    let (_dir, bytes) = trained();
    let file = Container::parse("training", 2, &bytes).unwrap();
    let about: serde_json::Value = file.about().unwrap();
    for (pointer, value) in
        [("/progress/epoch", 2), ("/progress/step", 1), ("/steps", 17), ("/steps", -18), ("/begun", 19), ("/begun", -1)]
    {
        let mut about = about.clone();
        *about.pointer_mut(pointer).unwrap() = value.into();
        let bytes = Container { about: about.to_string(), ..file.clone() }.to_bytes("training", 2).unwrap();
        let result = trainer().checkpoint_from_bytes(&mut dense(1), &digits(), &bytes);
        assert!(matches!(result, Err(Error::File(FileError::Structure { .. }))), "{pointer} {value}: {result:?}");
    }
}

#[test]
fn moments_that_cannot_be_are_refused() {
    let (_dir, bytes) = trained();
    for (moment, value) in [("adam.m.0.weight", f32::NAN), ("adam.v.0.weight", f32::INFINITY), ("adam.v.0.bias", -1.0)]
    {
        let mut file = Container::parse("training", 2, &bytes).unwrap();
        let tensor = file.tensors.iter_mut().find(|t| t.name == moment).unwrap();
        tensor.bytes[..4].copy_from_slice(&value.to_le_bytes());
        let bytes = file.to_bytes("training", 2).unwrap();
        let refused = trainer().checkpoint_from_bytes(&mut dense(1), &digits(), &bytes).unwrap_err().to_string();
        assert!(refused.contains(moment), "{refused}");
    }
}

#[test]
fn temporaries_of_a_killed_training_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".training.1-0.tmp"), b"half a checkpoint").unwrap();
    let checkpoints = Checkpoints { resume: true, ..Checkpoints::at(dir.path().join("training")) };
    trainer().fit_resumable_with(&mut dense(1), &digits(), &checkpoints, go_on).unwrap();
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["training"]);
}

#[test]
fn a_checkpoint_that_cannot_be_written_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let result = trainer().fit_resumable_with(&mut dense(1), &digits(), &Checkpoints::at(file.join("inside")), go_on);
    assert!(matches!(result, Err(Error::File(FileError::Write { .. }))), "{result:?}");

    // The folder is taken away while training: a file is in its place.
    let folder = dir.path().join("folder");
    let checkpoints = Checkpoints { every: 8, ..Checkpoints::at(folder.join("training")) };
    let replace_folder = |_: &mut _, epoch: &mut Epoch| {
        if epoch.epoch == 1 {
            fs::rename(&folder, dir.path().join("moved")).unwrap();
            fs::write(&folder, b"").unwrap();
        }
        Ok(ControlFlow::Continue(()))
    };
    let result = trainer().fit_resumable_with(&mut dense(1), &digits(), &checkpoints, replace_folder);
    let Err(error @ Error::Checkpoint { epoch: 2, step: 4, source: FileError::Write { .. } }) = result else {
        panic!("{result:?}")
    };
    assert!(error.to_string().contains(&folder.join("training").display().to_string()), "{error}");
    let moved = Checkpoints { resume: true, ..Checkpoints::at(dir.path().join("moved/training")) };
    let history = trainer().fit_resumable_with(&mut dense(2), &digits(), &moved, go_on).unwrap();
    assert_eq!(timeless(history), contents(&moved.path).1);

    let never = Checkpoints { every: 0, ..Checkpoints::at(dir.path().join("x")) };
    let result = trainer().fit_resumable_with(&mut dense(1), &digits(), &never, go_on);
    assert!(matches!(result, Err(Error::Setting { name: "steps between checkpoints", .. })), "{result:?}");
}

#[test]
fn a_diverging_training_keeps_its_last_good_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("training");
    let checkpoints = Checkpoints { every: 4, ..Checkpoints::at(&path) };
    let spoil = |net: &mut <Dense as BuildOnDevice<Cpu, f32>>::Built, _: &mut Epoch| {
        net.2.spread.copy_from(&[f32::NAN; 10]);
        Ok(ControlFlow::Continue(()))
    };
    let result = trainer().fit_resumable_with(&mut dense(1), &digits(), &checkpoints, spoil);
    let Err(error @ Error::NotFinite { at: Some((1, 0)), .. }) = result else { panic!("{result:?}") };
    let text = format!("the last good checkpoint is {}, before epoch 0, step 4", path.display());
    assert!(error.to_string().ends_with(&text), "{error}");

    // At the moment of saving: the checkpoint at the end of epoch 1 is due.
    let good = fs::read(&path).unwrap();
    let due = Checkpoints { every: 6, resume: true, ..Checkpoints::at(&path) };
    let result = trainer().fit_resumable_with(&mut dense(1), &digits(), &due, spoil);
    let Err(Error::NotFinite { what, place, at: Some((1, 0)), checkpoint: Some(last), .. }) = result else {
        panic!("{result:?}")
    };
    assert_eq!((what.as_str(), place.as_str(), last.step), ("log_alpha", "layer 2", 4));
    assert_eq!(fs::read(&path).unwrap(), good);
}
