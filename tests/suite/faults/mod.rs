//! Files that are cut short, damaged, or for something else: a typed error, or exactly what was written.

mod nonsense;
mod scalars;

use std::ops::ControlFlow;
use std::sync::LazyLock;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use sparsevd::infer::{Container, Entry};
use sparsevd::prelude::*;
use sparsevd::{Epoch, FileError, means_from_bytes, posterior_from_bytes, posterior_to_bytes};

type Net = (SparseVdLinear<64, 2>, BatchNorm<2>, ReLU, ArdLinear<2, 10>);
type Built = <Net as BuildOnDevice<Cpu, f32>>::Built;

fn net(seed: u64) -> Built {
    Cpu::seed_from_u64(seed).build_module::<Net, f32>()
}

static DIGITS: LazyLock<Dataset> =
    LazyLock::new(|| Split::optdigits().unwrap().centred().into_parts().0.take(60, 0).unwrap());

fn trainer() -> Trainer {
    Trainer { epochs: 2, batch: 20, progress: false, ..Trainer::default() }
}

/// The function that reads a kind of file.
type Read = fn(&mut Built, &[u8]) -> Result<(), Error>;

/// A posterior and a checkpoint, each with a network that it was written from and the way to read it.
fn files() -> [(&'static str, Vec<u8>, Read); 2] {
    static FILES: LazyLock<[(&str, Vec<u8>, Read); 2]> = LazyLock::new(written);
    FILES.clone()
}

fn written() -> [(&'static str, Vec<u8>, Read); 2] {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut trained) = (dir.path().join("training"), net(1));
    let go_on = |_: &mut _, _: &mut Epoch| Ok(ControlFlow::Continue(()));
    trainer().fit_resumable_with(&mut trained, &DIGITS, &Checkpoints::at(&path), go_on).unwrap();
    let posterior = posterior_to_bytes(&trained, &json!({"note": "a word"})).unwrap();
    let resume: Read = |net, bytes| trainer().checkpoint_from_bytes(net, &DIGITS, bytes).map(drop);
    [
        ("posterior", posterior, |net, bytes| posterior_from_bytes(net, bytes)),
        ("training", std::fs::read(path).unwrap(), resume),
    ]
}

fn bytes(net: &Built) -> Vec<u8> {
    posterior_to_bytes(net, &()).unwrap()
}

fn problem(result: Result<(), Error>) -> FileError {
    match result {
        Err(Error::File(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn cut_at_any_length_a_file_is_refused() {
    for (kind, file, read) in files() {
        let (mut target, before) = (net(2), bytes(&net(2)));
        for n in 0..file.len() {
            assert!(matches!(problem(read(&mut target, &file[..n])), FileError::NotSafetensors(_)), "{kind}: {n}");
        }
        assert!(matches!(means_from_bytes(&mut target, &file[..file.len() / 2]), Err(Error::File(_))));
        assert_eq!(bytes(&target), before);
    }
}

/// 3,000 bytes replaced at random, one at a time.
#[test]
fn a_damaged_byte_is_found_or_does_not_matter() {
    for (kind, file, read) in files() {
        let (mut random, mut damaged) = (StdRng::seed_from_u64(1), file.clone());
        let (mut whole, mut refused) = (net(2), 0);
        read(&mut whole, &file).unwrap();
        let expected = bytes(&whole);
        let (mut target, before) = (net(3), bytes(&net(3)));
        for _ in 0..3000 {
            let at = random.gen_range(0..file.len());
            damaged[at] ^= random.gen_range(1..=255_u8);
            match read(&mut target, &damaged) {
                Ok(()) => {
                    assert_eq!(bytes(&target), expected, "{kind}: byte {at} is {}", damaged[at]);
                    target = net(3);
                }
                Err(Error::File(_)) => refused += 1,
                Err(other) => panic!("{kind}: byte {at} is {}: {other:?}", damaged[at]),
            }
            damaged[at] = file[at];
        }
        assert_eq!(bytes(&target), before);
        assert!(refused > 2700, "{kind}: {refused} of 3000");
    }
}

/// Without its checksum, a file is damaged in what it says about itself: nothing panics, and whatever is refused leaves
/// the network as it was.
#[test]
fn what_no_checksum_protects_does_no_harm() {
    for (kind, file, read) in files() {
        let size = 8 + usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
        let header = String::from_utf8(file[8..size].to_vec()).unwrap();
        let start = header.find(r#"\"checksum"#).unwrap();
        let bare = header.replace(&header[start..start + r#"\"checksum\":\"crc32:00000000\","#.len()], "");
        let mut bare = [&(bare.len() as u64).to_le_bytes()[..], bare.as_bytes(), &file[size..]].concat();
        let (mut random, mut taken) = (StdRng::seed_from_u64(2), 0);
        read(&mut net(3), &bare).unwrap();
        for _ in 0..3000 {
            let (at, mut target, before) = (random.gen_range(8..size), net(3), bytes(&net(3)));
            let byte = std::mem::replace(&mut bare[at], random.gen_range(b' '..=b'~'));
            match read(&mut target, &bare) {
                Ok(()) => taken += 1,
                Err(_) => assert_eq!(bytes(&target), before, "{kind}: byte {at} is {}", bare[at]),
            }
            bare[at] = byte;
        }
        assert!(taken > 0, "{kind}: {taken}");
    }
}

#[test]
fn one_kind_of_file_is_not_another() {
    let [(_, posterior, as_posterior), (_, training, as_training)] = files();
    let found = |result, is: &str| matches!(problem(result), FileError::Kind { found, .. } if found == is);
    assert!(found(as_posterior(&mut net(1), &training), "training"));
    assert!(found(as_training(&mut net(1), &posterior), "posterior"));
    for (kind, bytes, read) in files() {
        let later = Container::parse(kind, 2, &bytes).unwrap().to_bytes(kind, 3).unwrap();
        assert!(matches!(problem(read(&mut net(1), &later)), FileError::Version { found: 3, newest: 2 }), "{kind}");
    }
    // But the means of a checkpoint are means.
    let mut target = net(5);
    assert_eq!(means_from_bytes(&mut target, &training).unwrap(), 8);
    let mut whole = net(6);
    as_training(&mut whole, &training).unwrap();
    assert_eq!(target.0.theta.as_vec(), whole.0.theta.as_vec());
    assert_ne!(target.0.spread.as_vec(), whole.0.spread.as_vec());
}

#[test]
fn a_checkpoint_with_a_nan_is_refused() {
    let [_, (kind, file, read)] = files();
    let mut file = Container::parse(kind, 2, &file).unwrap();
    let at = file.tensors.iter().position(|tensor| tensor.name == "1.running_var").unwrap();
    file.tensors[at] = Entry::new("1.running_var", &[2], &[1.0, f32::NAN]);
    let (mut target, before) = (net(2), bytes(&net(2)));
    let error = problem(read(&mut target, &file.to_bytes(kind, 2).unwrap()));
    assert!(matches!(&error, FileError::NotFinite { tensor, index: 1, .. } if tensor == "1.running_var"), "{error}");
    assert_eq!(bytes(&target), before);
}

/// A file takes the folder's place: unlike a folder that is read-only, it keeps root from writing, too.
#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("training");
    let checkpoints = Checkpoints::at(&path);
    let goes = |_: &mut _, _: &mut Epoch| {
        if folder.is_dir() {
            std::fs::remove_dir(&folder).unwrap();
            std::fs::write(&folder, b"a file").unwrap();
        }
        Ok(ControlFlow::Continue(()))
    };
    let result = trainer().fit_resumable_with(&mut net(1), &DIGITS, &checkpoints, goes);
    assert!(matches!(result, Err(Error::Checkpoint { .. })), "{result:?}");
    // It is a file from the start.
    let result = trainer().fit_resumable(&mut net(1), &DIGITS, &checkpoints).map(drop);
    assert!(matches!(&result, Err(Error::File(FileError::Write { path: named, .. })) if *named == path), "{result:?}");
    let result = save_posterior(&net(1), &path);
    assert!(matches!(&result, Err(Error::File(FileError::Write { path: named, .. })) if *named == path), "{result:?}");
}

/// An old file is gone as soon as a training begins anew: a crash before the first checkpoint leaves nothing to
/// mistake.
#[test]
fn a_training_that_begins_anew_forgets_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::at(dir.path().join("training"));
    for _ in 0..2 {
        let none_yet = |_: &mut _, _: &mut Epoch| {
            assert!(!checkpoints.path.exists());
            Ok(ControlFlow::Continue(()))
        };
        let trainer = Trainer { epochs: 1, ..trainer() };
        trainer.fit_resumable_with(&mut net(1), &DIGITS, &checkpoints, none_yet).unwrap();
        assert!(checkpoints.path.exists());
    }
}

/// JSON would turn an infinity into `null`, which nothing reads: said before the earlier checkpoint is replaced.
#[test]
fn a_checkpoint_that_could_not_be_read_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints { every: 3, ..Checkpoints::at(dir.path().join("training")) };
    let spoil = |_: &mut _, epoch: &mut Epoch| {
        epoch.nll = if epoch.epoch == 1 { f64::INFINITY } else { 0.5 };
        Ok(ControlFlow::Continue(()))
    };
    let told = problem(trainer().fit_resumable_with(&mut net(1), &DIGITS, &checkpoints, spoil).map(drop)).to_string();
    assert!(told.contains("history, epoch 1: nll is inf; it must be finite"), "{told}");
    let resumed = Checkpoints { resume: true, ..checkpoints };
    trainer().fit_resumable(&mut net(1), &DIGITS, &resumed).unwrap();

    let mut net = net(1);
    net.configure(Settings { masking: Masking::Means(f64::INFINITY), ..Settings::default() });
    let anew = Checkpoints::at(dir.path().join("other"));
    let told = trainer().fit_resumable(&mut net, &DIGITS, &anew).map(drop);
    assert!(matches!(told, Err(Error::Setting { name: "threshold of masking", .. })), "{told:?}");
}
