use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;

fn images(count: u32, height: u32, width: u32, pixels: &[u8]) -> Vec<u8> {
    let sizes = [count, height, width].map(u32::to_be_bytes).concat();
    [&IMAGES[..], &sizes, pixels].concat()
}

fn labels(values: &[u8]) -> Vec<u8> {
    [&LABELS[..], &(values.len() as u32).to_be_bytes(), values].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

const PIXELS: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

#[test]
fn plain_and_gzipped_read_the_same() {
    let raw = images(2, 3, 2, &PIXELS);
    let expected = Images { count: 2, height: 3, width: 2, pixels: PIXELS.to_vec() };
    assert_eq!(parse_images("x", &raw).unwrap(), expected);
    assert_eq!(parse_images("x", &gzip(&raw)).unwrap(), expected);
    assert_eq!(parse_labels("x", &labels(&[7, 0, 255])).unwrap(), [7, 0, 255]);
    assert_eq!(parse_labels("x", &gzip(&labels(&[7, 0, 255]))).unwrap(), [7, 0, 255]);
}

#[test]
fn a_concatenated_gzip_is_one_stream() {
    let raw = images(2, 3, 2, &PIXELS);
    let gz = [gzip(&raw[..9]), gzip(&raw[9..])].concat();
    assert_eq!(parse_images("x", &gz).unwrap().pixels, PIXELS);
}

#[test]
fn every_truncation_is_refused() {
    let raw = images(2, 3, 2, &PIXELS);
    let gz = gzip(&raw);
    for n in 0..raw.len() {
        let error = parse_images("x", &raw[..n]).unwrap_err();
        match n {
            0 => assert!(matches!(error, DataError::Foreign { .. }), "{n}: {error}"),
            1..4 => assert!(matches!(error, DataError::Magic { .. }), "{n}: {error}"),
            4..16 => assert!(matches!(error, DataError::Length { expected: 16, found, .. } if found == n as u64)),
            _ => assert!(matches!(error, DataError::Length { expected: 28, found, .. } if found == n as u64)),
        }
    }
    for n in 0..gz.len() {
        assert!(parse_images("x", &gz[..n]).is_err(), "gzip cut at {n}");
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let raw = [images(2, 3, 2, &PIXELS), vec![0; 5]].concat();
    assert!(matches!(parse_images("x", &raw), Err(DataError::Length { expected: 28, found: 33, .. })));
    assert!(matches!(parse_images("x", &gzip(&raw)), Err(DataError::Length { expected: 28, found: 29, .. })));
    let after = [gzip(&images(2, 3, 2, &PIXELS)), b"junk".to_vec()].concat();
    assert!(matches!(parse_images("x", &after), Err(DataError::Gzip { .. })));
}

#[test]
fn swapped_files_and_other_formats_are_named() {
    let (as_images, as_labels) = (parse_images("x", &labels(&PIXELS)), parse_labels("x", &images(2, 3, 2, &PIXELS)));
    assert!(matches!(as_images, Err(DataError::Foreign { what, .. }) if what.contains("labels")));
    assert!(matches!(as_labels, Err(DataError::Foreign { what, .. }) if what.contains("images")));
    let text = parse_images("here.gz", b"something").unwrap_err().to_string();
    assert!(text.contains("here.gz") && text.contains("[73, 6f, 6d, 65]") && text.contains("[00, 00, 08, 03]"));
}

#[test]
fn absurd_headers_are_refused_before_memory_is_asked_for() {
    for (count, height, width) in [(0, 28, 28), (1, 0, 28), (1, 28, 0), (u32::MAX, u32::MAX, u32::MAX), (1 << 30, 2, 1)]
    {
        let raw = images(count, height, width, &PIXELS);
        assert!(matches!(parse_images("x", &raw), Err(DataError::Header { .. })), "{count} {height} {width}");
    }
    // Within the limit, but wrong: the header has 2^30 bytes, the file 12.
    let raw = images(1 << 10, 1 << 10, 1 << 10, &PIXELS);
    for raw in [gzip(&raw), raw] {
        let refused = parse_images("x", &raw);
        assert!(matches!(refused, Err(DataError::Length { found: 28, expected, .. }) if expected == 16 + MAX_BYTES));
    }
}

#[test]
fn a_gzip_bomb_stops_at_the_first_byte_too_many() {
    let bomb = gzip(&images(2, 3, 2, &vec![0; 50_000_000]));
    assert!(bomb.len() < 60_000);
    assert!(matches!(parse_images("x", &bomb), Err(DataError::Length { expected: 28, found: 29, .. })));
}

#[test]
fn files_are_read_and_missing_ones_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("labels"); // gzipped, without `.gz` in the name
    std::fs::write(&path, gzip(&labels(&[3, 1]))).unwrap();
    assert_eq!(read_labels(&path).unwrap(), [3, 1]);
    assert!(matches!(read_images(&dir.path().join("no")), Err(DataError::Read { path, .. }) if path.ends_with("no")));
    assert!(matches!(read_images(dir.path()), Err(DataError::Read { .. })));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_images("x", &raw);
        let _ = parse_labels("x", &raw);
    }

    /// Random sizes after the right magic number: read only if the sizes match the number of bytes.
    #[test]
    fn sizes_are_the_sizes_of_the_bytes(dims in [0_u32..6, 0_u32..6, 0_u32..6], n in 0_usize..130, gz: bool) {
        let raw = images(dims[0], dims[1], dims[2], &vec![9; n]);
        let read = parse_images("x", &if gz { gzip(&raw) } else { raw });
        let promised = dims.iter().product::<u32>() as usize;
        prop_assert_eq!(read.is_ok(), promised == n && n > 0);
    }

    /// A flipped bit gives an error, or a set of the size in its header.
    #[test]
    fn flipped_bits_never_give_a_wrong_size(at in 0_usize..28, bit in 0_u8..8) {
        let mut raw = images(2, 3, 2, &PIXELS);
        raw[at] ^= 1 << bit;
        match parse_images("x", &raw) {
            Ok(read) => prop_assert!(at >= 16 && read.pixels.len() == 12 && read.count * read.height * read.width == 12),
            Err(_) => prop_assert!(at < 16),
        }
    }

    /// Gzip's checksum covers what the IDX sizes cannot: a flipped bit is rejected, or does not change the content.
    #[test]
    fn flipped_bits_in_gzip_never_change_the_content(at in 0_usize..60, bit in 0_u8..8) {
        let mut gz = gzip(&images(2, 3, 2, &PIXELS));
        let at = at % gz.len();
        gz[at] ^= 1 << bit;
        if let Ok(read) = parse_images("x", &gz) {
            prop_assert_eq!(read.pixels, PIXELS);
        }
    }
}
