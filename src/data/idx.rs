//! The IDX format of MNIST and its relatives, plain or gzipped.
//!
//! ```text
//! images   00 00 08 03 | count | height | width | count × height × width bytes
//! labels   00 00 08 01 | count |                  count bytes                     sizes: u32, big-endian
//! ```
//! Gzip is recognised by its first bytes, not by the name. Memory is allocated only for bytes that exist: a header is
//! trusted only if the file's length agrees with it.

use super::DataError;
use super::sniff::sniff;
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest file accepted, plain or unpacked: 1 GiB (MNIST's largest is 45 MiB).
pub const MAX_BYTES: u64 = 1 << 30;

const IMAGES: [u8; 4] = [0, 0, 8, 3];
const LABELS: [u8; 4] = [0, 0, 8, 1];
/// The number of first bytes by which another format is recognised.
const SNIFFED: u64 = 512;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Grey images, one byte per pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Images {
    /// Number of images, at least 1.
    pub count: usize,
    /// Rows of one image, at least 1.
    pub height: usize,
    /// Columns of one image, at least 1.
    pub width: usize,
    /// `count * height * width` bytes, row by row.
    pub pixels: Vec<u8>,
}

/// Reads an image file.
///
/// # Errors
/// [`DataError`], naming the file, what was expected and what was found.
pub fn read_images(path: &Path) -> Result<Images, DataError> {
    parse_images(&path.display().to_string(), &read(path)?)
}

/// Reads a label file: one byte per label, at least one label.
///
/// # Errors
/// [`DataError`], naming the file, what was expected and what was found.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, DataError> {
    parse_labels(&path.display().to_string(), &read(path)?)
}

/// [`read_images`] from memory; `file` is the name that errors mention.
///
/// # Errors
/// As [`read_images`].
pub fn parse_images(file: &str, raw: &[u8]) -> Result<Images, DataError> {
    let (dims, pixels) = payload::<3>(file, raw, "images", IMAGES)?;
    let [count, height, width] = dims.map(|side| side as usize);
    Ok(Images { count, height, width, pixels })
}

/// [`read_labels`] from memory; `file` is the name that errors mention.
///
/// # Errors
/// As [`read_labels`].
pub fn parse_labels(file: &str, raw: &[u8]) -> Result<Vec<u8>, DataError> {
    Ok(payload::<1>(file, raw, "labels", LABELS)?.1)
}

/// The bytes of a file no larger than [`MAX_BYTES`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let failed = |source| DataError::Read { path: path.into(), source };
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a file")));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(DataError::TooLarge { file: path.display().to_string(), found: meta.len(), limit: MAX_BYTES });
    }
    Ok(bytes)
}

/// The `D` sizes of the header and the bytes after it, whose number is the product of the sizes.
fn payload<const D: usize>(
    file: &str,
    raw: &[u8],
    what: &'static str,
    magic: [u8; 4],
) -> Result<([u32; D], Vec<u8>), DataError> {
    let header_len = 4 + 4 * D;
    let header = unpack(file, raw, header_len as u64)?;
    if !header.starts_with(&magic) {
        let found = header.iter().copied().take(4).collect();
        let start = unpack(file, raw, SNIFFED)?;
        let unknown = || DataError::Magic { file: file.into(), what, expected: magic, found };
        return Err(sniff(file, &start).unwrap_or_else(unknown));
    }
    let mut dims = [0_u32; D];
    let mut sizes = header[magic.len()..].chunks_exact(4);
    for dim in &mut dims {
        let Some(&[a, b, c, d]) = sizes.next() else {
            let (expected, found) = (header_len as u64, header.len() as u64);
            return Err(DataError::Length { file: file.into(), expected, found });
        };
        *dim = u32::from_be_bytes([a, b, c, d]);
    }
    let product = dims.iter().try_fold(1_u64, |product, side| product.checked_mul(u64::from(*side)));
    let Some(promised @ 1..=MAX_BYTES) = product else {
        return Err(DataError::Header { file: file.into(), dims: dims.to_vec(), limit: MAX_BYTES });
    };
    let expected = header_len as u64 + promised;
    // Reading one byte more than the header says detects a file that is too long, and stops a gzip bomb.
    let mut bytes = unpack(file, raw, expected + 1)?.into_owned();
    let found = if is_gzip(raw) { bytes.len() } else { raw.len() } as u64;
    if found != expected {
        return Err(DataError::Length { file: file.into(), expected, found });
    }
    bytes.drain(..header_len);
    Ok((dims, bytes))
}

/// The first `limit` bytes, or all if there are fewer; of a gzip stream, those that it unpacks to.
pub(super) fn unpack<'a>(file: &str, raw: &'a [u8], limit: u64) -> Result<Cow<'a, [u8]>, DataError> {
    if !is_gzip(raw) {
        return Ok(Cow::Borrowed(&raw[..raw.len().min(limit as usize)]));
    }
    let mut bytes = Vec::new();
    match MultiGzDecoder::new(raw).take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok(Cow::Owned(bytes)),
        Err(source) => Err(DataError::Gzip { file: file.into(), source }),
    }
}

fn is_gzip(raw: &[u8]) -> bool {
    raw.starts_with(&GZIP)
}

#[cfg(test)]
#[path = "idx_tests.rs"]
mod tests;
