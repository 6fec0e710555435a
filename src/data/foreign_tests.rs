//! Small synthetic files of other data sets and forms, each with the facts that its message must contain.

use crate::data::{DataError, Split};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::Path;

/// `n` grey images of 1x2 pixels, and their labels.
fn idx(labels: &[u8]) -> [Vec<u8>; 2] {
    let n = labels.len() as u8;
    let images = [&[0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 1, 0, 0, 0, 2][..], &vec![7; 2 * labels.len()]].concat();
    [images, [&[0, 0, 8, 1, 0, 0, 0, n][..], labels].concat()]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

const MNIST: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

fn write(dir: &Path, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// The four files under `dir`, with these training labels.
fn mnist(dir: &Path, prefix: &str, train: &[u8]) {
    let [train, test] = [idx(train), idx(&train[..1])];
    for (name, bytes) in MNIST.iter().zip(train.iter().chain(&test)) {
        write(dir, &[(&format!("{prefix}{name}"), bytes)]);
    }
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), files);
    root
}

/// The error of reading `dir`, whose message must contain all these words.
fn told(dir: &Path, words: &[&str]) -> DataError {
    let error = Split::from_dir(dir).unwrap_err();
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    error
}

#[test]
fn what_systems_put_beside_the_data_is_not_seen() {
    let root = tempfile::tempdir().unwrap();
    mnist(root.path(), "", &[0, 1]);
    let sound = Split::from_dir(root.path()).unwrap();
    for name in MNIST {
        write(
            root.path(),
            &[(&format!("._{name}"), b"\0\x05\x16\x07"), (&format!("__MACOSX/._{name}"), b"\0\x05\x16\x07")],
        );
    }
    write(
        root.path(),
        &[(".DS_Store", b"Bud1"), ("Thumbs.db", b""), (".ipynb_checkpoints/train-images-idx3-ubyte", b"")],
    );
    assert_eq!(Split::from_dir(root.path()).unwrap(), sound);
}

#[test]
fn a_folder_of_a_files_name_is_not_the_file() {
    let root = tempfile::tempdir().unwrap();
    mnist(root.path(), "", &[0, 1]);
    let sound = Split::from_dir(root.path()).unwrap();
    for name in MNIST {
        let plain = std::fs::read(root.path().join(name)).unwrap();
        std::fs::remove_file(root.path().join(name)).unwrap();
        write(root.path(), &[(&format!("{name}/{name}"), &plain), (&format!("{name}.gz"), &gzip(&plain))]);
    }
    assert_eq!(Split::from_dir(root.path()).unwrap(), sound);
}

#[test]
fn each_form_of_cifar_is_known() {
    for (file, words) in [
        ("data_batch_1", ["CIFAR-10 in its Python form", "pickled", "cifar-10-binary.tar.gz", "get-data.sh"]),
        ("cifar-10-batches-py/data_batch_1", ["CIFAR-10 in its Python form", "pickled", "cifar-10-binary.tar.gz", ""]),
        ("data_batch_1.mat", ["CIFAR-10 in its MATLAB form", "cifar-10-binary.tar.gz", "", ""]),
        ("train.bin", ["CIFAR-100", "3,074 bytes", "coarse label", "`Dataset::new`"]),
        ("cifar-100-binary/train.bin", ["CIFAR-100", "3,074 bytes", "a fine one", "`Dataset::new`"]),
        ("cifar-100-python/train", ["CIFAR-100 in its Python form", "pickled", "only CIFAR-10", ""]),
    ] {
        let root = folder(&[(file, b"\x80\x02}q\x01"), ("batches.meta", b"\x80\x02"), ("readme.html", b"")]);
        let error = told(root.path(), &words);
        assert!(matches!(error, DataError::Foreign { .. }), "{error:?}");
    }
}

#[test]
fn files_under_cifars_names_are_looked_into() {
    let hundred = [vec![19, 99], vec![200; 3072], vec![0, 0], vec![1; 3072]].concat();
    for (bytes, words) in [
        (&hundred[..], ["data_batch_1.bin", "2 records of 3074 bytes with two labels each", "CIFAR-100"]),
        (b"\x80\x02}q\x01(U\x0bbatch_label", ["data_batch_1.bin", "a Python pickle", "IDX"]),
        (b"<html><body>404", ["data_batch_1.bin", "a web page", "download"]),
        (b"", ["data_batch_1.bin", "an empty file", "download"]),
    ] {
        let error = told(folder(&[("data_batch_1.bin", bytes)]).path(), &words);
        assert!(matches!(error, DataError::Foreign { .. }), "{error:?}");
    }
}

#[test]
fn letters_that_begin_at_one_are_refused() {
    let root = tempfile::tempdir().unwrap();
    mnist(root.path(), "emnist-letters-", &[1, 26, 2]);
    let error =
        told(root.path(), &["labels are 1 to 26", "EMNIST", "numbered from 0", "subtract 1", "`idx::read_labels`"]);
    assert!(matches!(error, DataError::FirstLabel { first: 1, last: 26, .. }));
}

#[test]
fn the_parts_of_emnist_want_folders_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    mnist(root.path(), "emnist-letters-", &[1, 2]);
    mnist(root.path(), "emnist-digits-", &[0, 1]);
    told(root.path(), &["emnist-letters-", "emnist-digits-", "a folder of its own"]);
}

#[test]
fn qmnist_has_a_matrix_for_labels() {
    let root = tempfile::tempdir().unwrap();
    let matrix = [&[0, 0, 12, 2, 0, 0, 0, 1, 0, 0, 0, 8][..], &[0; 32]].concat();
    let words = ["QMNIST", "eight i32 for each image", "the first column"];
    for gz in ["", ".gz"] {
        mnist(root.path(), "qmnist-", &[0, 1]);
        std::fs::remove_file(root.path().join("qmnist-train-labels-idx1-ubyte")).unwrap();
        write(root.path(), &[(&format!("qmnist-train-labels-idx2-int{gz}"), &matrix)]);
        told(root.path(), &words);
        std::fs::remove_file(root.path().join(format!("qmnist-train-labels-idx2-int{gz}"))).unwrap();
    }
    // The same under MNIST's name.
    write(root.path(), &[("qmnist-train-labels-idx1-ubyte", &matrix)]);
    told(root.path(), &["an IDX file of i32 in 2 dimensions, as QMNIST's labels are", "first column"]);
}

#[test]
fn svhn_and_other_formats_are_named() {
    for (file, words) in [
        ("train_32x32.mat", ["SVHN", "the digit 0 has the label 10", "image, channel, height, width"]),
        ("mnist.npz", ["mnist.npz", "another program's format", "IDX"]),
        ("mnist_train.csv", ["mnist_train.csv", "a table", "`Dataset::new`"]),
        ("train.tsv", ["train.tsv", "a table", "`Dataset::new`"]),
        ("cat/1.PNG", ["1.PNG", "images, a file each", "`Dataset::new`"]),
        ("cifar-10-binary.tar.gz", ["cifar-10-binary.tar.gz", "an archive", "unpack it"]),
        ("archive.zip", ["archive.zip", "an archive", "unpack it"]),
        ("train-images-idx3-ubyte.gz.part", [".gz.part", "an incomplete download", "fetch the file again"]),
    ] {
        told(folder(&[(file, b"")]).path(), &words);
    }
}

#[test]
fn a_download_that_did_not_end_is_said() {
    let root = tempfile::tempdir().unwrap();
    mnist(root.path(), "", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let path = root.path().join(MNIST[0]);
    let gz = gzip(&std::fs::read(&path).unwrap());
    std::fs::remove_file(path).unwrap();
    for n in [2, 12, gz.len() / 2, gz.len() - 1] {
        write(root.path(), &[("train-images-idx3-ubyte.gz", &gz[..n])]);
        told(root.path(), &["train-images-idx3-ubyte.gz", "breaks off", "download the file again"]);
    }
    std::fs::rename(
        root.path().join("train-images-idx3-ubyte.gz"),
        root.path().join("train-images-idx3-ubyte.gz.crdownload"),
    )
    .unwrap();
    told(root.path(), &["train-images-idx3-ubyte.gz.crdownload", "incomplete"]);
}

#[test]
fn what_lies_under_the_name_of_the_data_is_said() {
    let [images, labels] = idx(&[0, 1]);
    let mut tar = vec![0; 512];
    tar[..5].copy_from_slice(b"train");
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, words) in [
        (&b"\n  <!DOCTYPE HTML><title>Sign in"[..], ["a web page", "download"]),
        (&gzip(b"<html>"), ["a web page", "download"]),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", ["an XML text", "download"]),
        (b"version https://git-lfs.github.com/spec/v1", ["a pointer of Git LFS", "git lfs pull"]),
        (&gzip(&gzip(&images)), ["a gzip file inside a gzip file", "unpack it once"]),
        (b"PK\x03\x04", ["a zip archive", "unpack"]),
        (&gzip(&tar), ["a tar archive", "unpack"]),
        (b"\x93NUMPY\x01\0", ["a NumPy array", "IDX"]),
        (&labels, ["an IDX file of u8 in 1 dimension (labels)", "swapped"]),
        (&[0, 0, 0x0d, 3, 0, 0], ["an IDX file of f32 in 3 dimensions", "u8"]),
        (b"", ["an empty file", "download"]),
    ] {
        let root = tempfile::tempdir().unwrap();
        mnist(root.path(), "", &[0, 1]);
        write(root.path(), &[(MNIST[0], bytes)]);
        told(root.path(), &[&words[..], &[MNIST[0]]].concat());
    }
}

#[test]
fn a_folder_near_the_data_is_told_where_they_are() {
    let root = tempfile::tempdir().unwrap();
    told(root.path(), &["the folder is empty", "get-data.sh"]);
    mnist(&root.path().join("torch/MNIST/raw"), "", &[0, 1]);
    let raw = root.path().join("torch/MNIST/raw");
    let error = told(&root.path().join("torch"), &[raw.to_str().unwrap(), "give that folder"]);
    assert!(matches!(error, DataError::Elsewhere { found, .. } if found == [raw.clone()]));
    std::fs::create_dir(raw.join("processed")).unwrap();
    told(&raw.join("processed"), &[raw.canonicalize().unwrap().to_str().unwrap(), "give that folder"]);
    mnist(&root.path().join("torch/Fashion"), "", &[0, 1]);
    told(&root.path().join("torch"), &["torch/Fashion; give"]);
    told(&raw.join(MNIST[0]), &["a file", "give the folder"]);
}

#[test]
fn files_of_no_known_kind_are_listed() {
    let names = Vec::from_iter((0..12).map(|i| format!("x{i:02}")));
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"?"[..])).collect();
    let root = folder(&files);
    let error =
        told(root.path(), &["no training images", "train-images-idx3-ubyte", "found x00, x01", "x07 and 4 more"]);
    assert!(matches!(error, DataError::Missing { there, .. } if there.len() == 12));
}
