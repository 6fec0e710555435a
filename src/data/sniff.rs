//! Recognition of other formats by a file's first bytes.

use super::DataError;

const AGAIN: &str = "download the file again";
const WRITE: &str = "write it as an IDX file (for its layout see `data::idx`)";

/// First bytes of other formats, the format, and the advice.
const BEGINNINGS: [(&[u8], &str, &str); 18] = [
    (b"<!doctype html", "a web page, perhaps a server's error message, under the name of the data", AGAIN),
    (b"<html", "a web page, perhaps a server's error message, under the name of the data", AGAIN),
    (b"<?xml", "an XML text, perhaps a server's error message, under the name of the data", AGAIN),
    (b"version https://git-lfs", "a pointer of Git LFS to the file", "fetch the file itself with `git lfs pull`"),
    (b"\x1f\x8b", "a gzip file inside a gzip file", "unpack it once, with gunzip"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"BZh", "a bzip2 file", "unpack it, with bunzip2"),
    (b"\xfd7zXZ", "an xz file", "unpack it, with unxz"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it, with unzstd"),
    (b"\x80\x02", "a Python pickle", WRITE),
    (b"\x80\x03", "a Python pickle", WRITE),
    (b"\x80\x04", "a Python pickle", WRITE),
    (b"\x80\x05", "a Python pickle", WRITE),
    (b"\x93numpy", "a NumPy array", WRITE),
    (b"matlab 5.0", "a MATLAB file", WRITE),
    (b"\x89hdf", "an HDF5 file", WRITE),
    (b"\x89png", "a PNG image", WRITE),
    (b"\xff\xd8\xff", "a JPEG image", WRITE),
];

/// The element types of IDX files.
const TYPES: [(u8, &str); 6] = [(8, "u8"), (9, "i8"), (11, "i16"), (12, "i32"), (13, "f32"), (14, "f64")];

/// The error for a file of another known format, judging by its first bytes.
pub(super) fn sniff(file: &str, bytes: &[u8]) -> Option<DataError> {
    let (what, todo) = match *bytes {
        [] => ("an empty file".into(), AGAIN),
        [0, 0, kind, dims @ 1..=8, ..] => idx(kind, dims)?,
        _ if bytes.get(257..262) == Some(b"ustar") => ("a tar archive".into(), "unpack it"),
        _ => {
            let text = bytes.trim_ascii_start().to_ascii_lowercase();
            let (_, what, todo) =
                BEGINNINGS.iter().find(|(start, _, _)| text.starts_with(&start.to_ascii_lowercase()))?;
            ((*what).into(), *todo)
        }
    };
    Some(DataError::Foreign { at: file.into(), what, todo: todo.into() })
}

/// The description of, and the advice for, an IDX file of another element type or number of dimensions.
fn idx(kind: u8, dims: u8) -> Option<(String, &'static str)> {
    let (_, name) = TYPES.iter().find(|(known, _)| *known == kind)?;
    let (what, todo) = match (name, dims) {
        (&"u8", 1) => (" (labels)", "are the image and label files swapped?"),
        (&"u8", 3) => (" (grey images)", "are the image and label files swapped?"),
        (&"i32", 2) => (", as QMNIST's labels are", "write the first column as IDX labels, one byte each"),
        _ => ("", "write images as u8 in three dimensions, labels as u8 in one"),
    };
    let plural = if dims == 1 { "" } else { "s" };
    Some((format!("an IDX file of {name} in {dims} dimension{plural}{what}"), todo))
}
