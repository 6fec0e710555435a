//! Replays the small corpus of the fuzz targets: odd files once met or made up stay handled.

#[path = "../../fuzz/src/targets.rs"]
mod targets;

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use sparsevd::infer::{CompactNet, Container, Precision};
use sparsevd::prelude::*;
use sparsevd::{Epoch, compact, means_from_bytes, posterior_from_bytes, posterior_to_bytes};

/// A name and what it stands for.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 7] = [
    ("cifar", targets::cifar),
    ("idx_images", targets::idx_images),
    ("idx_labels", targets::idx_labels),
    ("posterior", targets::posterior),
    ("means", targets::means),
    ("compact", targets::compact),
    ("training", targets::training),
];

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus-small").join(target)
}

#[test]
fn nothing_in_the_corpus_breaks_anything() {
    for (name, target) in TARGETS {
        let files: Vec<_> = fs::read_dir(corpus(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 5, "{name}: {}", files.len());
        for file in files {
            println!("{}", file.display());
            target(&fs::read(file).unwrap());
        }
    }
}

/// Some files of the corpus are sound, so that a fuzzer starts from what is read to the end.
#[test]
fn the_corpus_has_sound_files() {
    let read = |target: &str, name: &str| fs::read(corpus(target).join(name)).unwrap();
    let resumed =
        |bytes: &[u8]| targets::trainer().checkpoint_from_bytes(&mut targets::net(1), &targets::data(), bytes);
    // Format 1 named layers by text; `without-scalars` is of it, from before files held a norm's epsilon and momentum, and
    // named activations.
    for name in ["sound", "no-checksum", "format-1", "without-scalars"] {
        posterior_from_bytes(&mut targets::net(1), &read("posterior", name)).unwrap();
        means_from_bytes(&mut targets::net(1), &read("means", name)).unwrap();
    }
    for name in ["sound", "no-checksum"] {
        resumed(&read("training", name)).unwrap();
    }
    for name in ["format-1", "without-scalars"] {
        let told = resumed(&read("training", name)).unwrap_err().to_string();
        assert!(told.contains("a checkpoint of format 1") && told.contains("start again without `resume`"), "{told}");
    }
    CompactNet::from_bytes(&fs::read(corpus("compact").join("sound")).unwrap()).unwrap();
    assert!(sparsevd::data::idx::parse_images("", &fs::read(corpus("idx_images").join("sound")).unwrap()).is_ok());
    assert!(sparsevd::data::idx::parse_labels("", &fs::read(corpus("idx_labels").join("sound")).unwrap()).is_ok());
    let batch = sparsevd::data::cifar::parse_batch("", &fs::read(corpus("cifar").join("sound")).unwrap()).unwrap();
    assert_eq!((batch.labels, batch.pixels.len()), (vec![3], 3072));
}

/// `cargo test --test suite write_the_corpus -- --ignored` writes the made-up files anew, after a change of the format.
#[test]
#[ignore = "writes into the repository"]
fn write_the_corpus() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut net) = (dir.path().join("training"), targets::net(4));
    let go_on = |_: &mut _, _: &mut Epoch| Ok(ControlFlow::Continue(()));
    targets::trainer().fit_resumable_with(&mut net, &targets::data(), &Checkpoints::at(&path), go_on).unwrap();
    let (posterior, training) = (posterior_to_bytes(&net, &()).unwrap(), fs::read(path).unwrap());
    // The batch norm's factor folds into the weights; all of them stay.
    let small = compact(&net, &[2], f64::INFINITY).unwrap().to_bytes(Precision::Posterior).unwrap();
    for (target, kind, bytes) in [
        ("compact", "compact", &small),
        ("posterior", "posterior", &posterior),
        ("means", "posterior", &posterior),
        ("training", "training", &training),
    ] {
        let file = Container::parse(kind, 2, bytes).unwrap();
        let one = file.tensors.iter().filter(|tensor| tensor.name.contains("weight")).cloned().collect();
        let put = |name: &str, bytes: &[u8]| {
            fs::create_dir_all(corpus(target)).unwrap();
            fs::write(corpus(target).join(name), bytes).unwrap();
        };
        put("sound", bytes);
        put("no-checksum", &without_checksum(bytes));
        put("cut", &bytes[..bytes.len() - 3]);
        put("later-version", &file.to_bytes(kind, 9).unwrap());
        put("other-kind", &file.to_bytes("else", 1).unwrap());
        put("only-weights", &Container { tensors: one, ..file.clone() }.to_bytes(kind, 2).unwrap());
        put("no-about", &Container { about: "null".into(), ..file }.to_bytes(kind, 2).unwrap());
        put("overflow", &overflow());
        put("empty", b"");
    }
    let idx = |magic: u8, sizes: &[u32], data: &[u8]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
        [&[0, 0, 8, magic][..], &sizes, data].concat()
    };
    let record = |label: u8| [vec![label], vec![9; 3072]].concat();
    fs::create_dir_all(corpus("cifar")).unwrap();
    for (name, bytes) in [
        ("sound", record(3)),
        ("class", record(10)),
        ("short", record(3)[..3000].to_vec()),
        ("long", [record(3), vec![1]].concat()),
        ("none", vec![]),
        ("gzip", vec![0x1f, 0x8b, 8, 0]),
    ] {
        fs::write(corpus("cifar").join(name), bytes).unwrap();
    }
    let seeds = HashMap::from([
        ("sound", [idx(3, &[1, 2, 2], &[1, 2, 3, 4]), idx(1, &[3], &[1, 2, 3])]),
        ("short", [idx(3, &[1, 2, 2], &[1, 2, 3]), idx(1, &[3], &[1, 2])]),
        ("huge", [idx(3, &[u32::MAX; 3], &[1]), idx(1, &[u32::MAX], &[1])]),
        ("none", [idx(3, &[0, 2, 2], &[]), idx(1, &[0], &[])]),
        ("header", [idx(3, &[1], &[]), idx(1, &[], &[0])]),
        ("gzip", [vec![0x1f, 0x8b, 8, 0], vec![0x1f, 0x8b, 8, 0]]),
    ]);
    for (name, files) in seeds {
        for (target, bytes) in ["idx_images", "idx_labels"].iter().zip(files) {
            fs::create_dir_all(corpus(target)).unwrap();
            fs::write(corpus(target).join(name), bytes).unwrap();
        }
    }
}

/// The same file, as if written by hand.
fn without_checksum(bytes: &[u8]) -> Vec<u8> {
    let size = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header = String::from_utf8(bytes[8..size].to_vec()).unwrap();
    let start = header.find(r#"\"checksum"#).unwrap();
    let header = header.replace(&header[start..start + r#"\"checksum\":\"crc32:00000000\","#.len()], "");
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[size..]].concat()
}

/// Sizes whose sum overflows: the safetensors crate by itself does not notice.
fn overflow() -> Vec<u8> {
    let side = (1_u64 << 61) - 1;
    let one =
        |i: u64| format!(r#""{i}":{{"dtype":"U8","shape":[{side}],"data_offsets":[{},{}]}}"#, i * side, (i + 1) * side);
    let header = format!("{{{}}}", (0..8).map(one).collect::<Vec<_>>().join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}
