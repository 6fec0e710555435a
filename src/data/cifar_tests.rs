use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;

/// Image `label` has red `label`, green 100, blue 200, and a distinct first pixel in each plane.
fn record(label: u8) -> Vec<u8> {
    let plane = |first: u8, value: u8| [vec![first], vec![value; 1023]].concat();
    [vec![label], plane(1, label), plane(2, 100), plane(3, 200)].concat()
}

fn records(labels: &[u8]) -> Vec<u8> {
    labels.iter().flat_map(|label| record(*label)).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// The six files under `dir`, training labels 1 to 5 and test labels 5 and 1; those with an odd number gzipped.
fn write(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    for (i, (name, _)) in TRAIN.iter().enumerate() {
        let bytes = records(&[i as u8 + 1]);
        match i % 2 {
            0 => std::fs::write(dir.join(format!("{name}.gz")), gzip(&bytes)).unwrap(),
            _ => std::fs::write(dir.join(name), bytes).unwrap(),
        }
    }
    std::fs::write(dir.join(TEST[0].0), records(&[5, 1])).unwrap();
}

#[test]
fn labels_and_planes_are_in_place() {
    let raw = records(&[4, 9]);
    let batch = parse_batch("x", &raw).unwrap();
    assert_eq!((&batch.labels[..], batch.pixels.len()), (&[4, 9][..], 2 * 3072));
    // The second image: red starts at 3072, green 1024 later, blue 1024 later.
    assert_eq!([3072, 3073, 4096, 4097, 5120, 5121, 6143].map(|i| batch.pixels[i]), [1, 9, 2, 100, 3, 200, 200]);
    assert_eq!(parse_batch("x", &gzip(&raw)).unwrap(), batch);
}

#[test]
fn a_folder_is_recognised_from_inside_and_outside() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join(FOLDER));
    for dir in [root.path().to_path_buf(), root.path().join(FOLDER)] {
        let (train, test) = Split::from_dir(dir).unwrap().into_parts();
        assert_eq!((train.name(), train.dims(), train.classes()), ("cifar-10", [3, 32, 32], 10));
        assert_eq!((train.labels(), test.labels()), (&[1, 2, 3, 4, 5][..], &[5, 1][..]));
        assert_eq!((train.input(2)[1], test.input(0)[3071]), (3.0 / 255.0, 200.0 / 255.0));
    }
}

#[test]
fn each_missing_file_is_named() {
    for (name, role) in TRAIN.iter().chain(&TEST) {
        let root = tempfile::tempdir().unwrap();
        write(root.path());
        let _ = std::fs::remove_file(root.path().join(name));
        let _ = std::fs::remove_file(root.path().join(format!("{name}.gz")));
        let error = Split::from_dir(root.path()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert!(matches!(error, DataError::Missing { role: found, .. } if found == *role));
    }
}

#[test]
fn beside_idx_files_it_is_ambiguous() {
    let root = tempfile::tempdir().unwrap();
    write(root.path());
    std::fs::write(root.path().join("my-train-images-idx3-ubyte"), []).unwrap();
    assert!(matches!(
        Split::from_dir(root.path()),
        Err(DataError::Ambiguous { prefixes, .. }) if prefixes == ["my-", "cifar-10"]
    ));
}

#[test]
fn what_is_not_whole_records_is_refused() {
    for n in [1, 3072, 3074, 2 * 3073 - 1] {
        let raw = vec![99; n]; // no coarse label of CIFAR-100
        assert!(matches!(
            parse_batch("x", &raw),
            Err(DataError::Records { found, record: 3073, .. }) if found == n as u64
        ));
        assert!(matches!(parse_batch("x", &gzip(&raw)), Err(DataError::Records { .. })));
    }
    assert!(matches!(parse_batch("x", &[]), Err(DataError::Foreign { .. })));
    let refused = parse_batch("x", &records(&[9, 10, 255]));
    assert!(matches!(refused, Err(DataError::Label { index: 1, label: 10, classes: 10, .. })));
}

/// One file of six is cut short, or has a byte too many: the error names it and both lengths.
#[test]
fn the_file_of_the_wrong_length_is_named() {
    for (name, found) in [("data_batch_3.bin", 3072_u64), ("test_batch.bin", 2 * 3073 + 1)] {
        let root = tempfile::tempdir().unwrap();
        write(root.path());
        let _ = std::fs::remove_file(root.path().join(format!("{name}.gz")));
        std::fs::write(root.path().join(name), vec![0; found as usize]).unwrap();
        let error = Split::from_dir(root.path()).unwrap_err();
        assert!(matches!(&error, DataError::Records { file, found: n, .. } if file.ends_with(name) && *n == found));
        assert!(error.to_string().contains(&format!("{name}: {found} bytes")) && error.to_string().contains("3073"));
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse_batch("x", &raw).is_err());
    }

    /// A truncated file is rejected, unless it ends after a record. Gzip has a checksum, so it is always rejected.
    #[test]
    fn truncations_are_refused(n in 0_usize..2 * 3073) {
        let raw = records(&[3, 7]);
        prop_assert_eq!(parse_batch("x", &raw[..n]).is_ok(), n == 3073);
        let gz = gzip(&raw);
        prop_assert!(parse_batch("x", &gz[..n % gz.len()]).is_err());
    }

    /// A flipped bit in a label gives another label or an error; elsewhere it changes exactly one pixel.
    #[test]
    fn flipped_bits_stay_where_they_are(at in 0_usize..2 * 3073, bit in 0_u8..8) {
        let mut raw = records(&[3, 7]);
        let sound = parse_batch("x", &raw).unwrap();
        raw[at] ^= 1 << bit;
        match parse_batch("x", &raw) {
            Ok(read) => {
                let differ = |a: &[u8], b: &[u8]| a.iter().zip(b).filter(|(a, b)| a != b).count();
                let in_label = usize::from(at % 3073 == 0);
                prop_assert_eq!(differ(&read.labels, &sound.labels), in_label);
                prop_assert_eq!(differ(&read.pixels, &sound.pixels), 1 - in_label);
            }
            Err(_) => prop_assert!(at % 3073 == 0 && raw[at] > 9),
        }
    }
}
