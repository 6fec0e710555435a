use super::*;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

/// `n` images of 1x2 pixels, all of value `v`.
fn images(n: u8, v: u8) -> Vec<u8> {
    [&[0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 1, 0, 0, 0, 2][..], &vec![v; 2 * usize::from(n)]].concat()
}

fn labels(values: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 1, 0, 0, 0, values.len() as u8][..], values].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// A folder called `toys` with the four files, written under the names given.
fn folder(names: [&str; 4], v: u8) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("toys");
    std::fs::create_dir(&dir).unwrap();
    let files = [images(3, v), labels(&[0, 1, 3]), images(2, v), labels(&[1, 3])];
    for (name, bytes) in names.iter().zip(files) {
        let bytes = if name.ends_with(".gz") { gzip(&bytes) } else { bytes };
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    (root, dir)
}

const MNIST: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

#[test]
fn every_spelling_is_found() {
    for names in [
        MNIST,
        MNIST.map(|name| Box::leak(format!("{name}.gz").into_boxed_str()) as &str),
        ["train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte.gz"],
        [
            "my-train-images-idx3-ubyte",
            "my-train-labels-idx1-ubyte",
            "my-test-images-idx3-ubyte",
            "my-test-labels-idx1-ubyte",
        ],
    ] {
        let (_root, dir) = folder(names, 51);
        let split = Split::from_dir(&dir).unwrap_or_else(|error| panic!("{names:?}: {error}"));
        let (train, test) = split.into_parts();
        assert_eq!((train.name(), test.name()), ("toys", "toys"));
        assert_eq!((train.len(), test.len(), train.dims(), train.classes()), (3, 2, [1, 1, 2], 4)); // largest label: 3
        assert_eq!((train.labels(), test.labels()), (&[0, 1, 3][..], &[1, 3][..]));
        assert_eq!((train.input(0), test.input(1)), (&[0.2; 2][..], &[0.2; 2][..])); // 51 / 255
    }
}

#[test]
fn optdigits_are_scaled_by_sixteen() {
    let names = MNIST.map(|name| Box::leak(format!("optdigits-{name}").into_boxed_str()) as &str);
    let (_root, dir) = folder(names, 4);
    assert_eq!(Split::from_dir(dir).unwrap().train().input(0), [0.25; 2]);
    let (_root, dir) = folder(names, 17);
    let refused = Split::from_dir(dir);
    assert!(matches!(refused, Err(DataError::TooBright { index: 0, pixel: 0, value: 17, full_scale: 16, .. })));
}

#[test]
fn a_missing_file_lists_what_was_looked_for() {
    for (i, role) in ["training images", "training labels", "test images", "test labels"].into_iter().enumerate() {
        let (_root, dir) = folder(MNIST, 0);
        std::fs::remove_file(dir.join(MNIST[i])).unwrap();
        let error = Split::from_dir(&dir).unwrap_err();
        assert!(error.to_string().contains(MNIST[i]), "{error}");
        assert!(matches!(error, DataError::Missing { role: found, .. } if found == role));
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Split::from_dir(empty.path()), Err(DataError::Nothing { .. })));
    assert!(matches!(Split::from_dir(empty.path().join("no")), Err(DataError::Read { .. })));
}

#[test]
fn two_data_sets_in_one_folder_are_not_mixed() {
    let (_root, dir) = folder(MNIST, 0);
    std::fs::write(dir.join("letters-train-images-idx3-ubyte"), images(1, 0)).unwrap();
    let refused = Split::from_dir(dir);
    assert!(matches!(refused, Err(DataError::Ambiguous { prefixes, .. }) if prefixes == ["", "letters-"]));
}

#[test]
fn the_plain_file_is_preferred_to_the_gzipped() {
    let (_root, dir) = folder(MNIST, 255);
    std::fs::write(dir.join("train-images-idx3-ubyte.gz"), gzip(&images(3, 0))).unwrap();
    assert_eq!(Split::from_dir(dir).unwrap().train().input(0), [1.0; 2]);
}

#[test]
fn counts_and_shapes_that_differ_are_refused() {
    let (_root, dir) = folder(MNIST, 0);
    std::fs::write(dir.join(MNIST[1]), labels(&[0, 1])).unwrap();
    assert!(matches!(Split::from_dir(&dir), Err(DataError::Counts { inputs: 6, labels: 2, pixels: 2, .. })));
    std::fs::write(dir.join(MNIST[1]), labels(&[0, 1, 3])).unwrap();
    std::fs::write(dir.join(MNIST[2]), [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7, 7][..]].concat()).unwrap();
    assert!(matches!(Split::from_dir(&dir), Err(DataError::Halves { .. })));
}
