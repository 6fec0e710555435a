//! This library's files: safetensors with one metadata entry that describes them.
//!
//! ```text
//! sparsevd = {"format": "posterior", "format_version": 1, "library": "0.1.0", "checksum": "crc32:89abcdef", "about": ..}
//! ```
//! `about` holds the metadata of this kind of file. The checksum covers kind, version, library, the text of `about`,
//! and every tensor's name, type, shape and bytes, in the order of the names. A file without a checksum, such as one
//! written by hand, is read without this check. The same contents give the same bytes. In Python:
//!
//! ```text
//! from safetensors import safe_open
//! with safe_open("posterior.safetensors", "np") as file:
//!     about = json.loads(file.metadata()["sparsevd"])["about"]; theta = file.get_tensor("0.weight")
//! ```

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::Metadata;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Entry, FileError, file};

/// The largest file that is read: 4 GiB.
pub const MAX_BYTES: u64 = 4 << 30;

/// The name of this library's metadata entry.
const KEY: &str = "sparsevd";

/// Tensors and their metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The tensors; in order of their names once read.
    pub tensors: Vec<Entry>,
    /// The metadata, as JSON.
    pub about: String,
}

/// The kind and version of a file, which are checked before the rest is read.
#[derive(Deserialize)]
struct Claim {
    format: String,
    format_version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    format_version: u32,
    library: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
    about: Box<RawValue>,
}

impl Container {
    /// A container of these tensors and this metadata.
    ///
    /// # Errors
    /// [`FileError::Structure`] if `about` cannot be JSON.
    pub fn new(tensors: Vec<Entry>, about: &impl Serialize) -> Result<Self, FileError> {
        let about = serde_json::to_string(about).map_err(|e| FileError::structure("about", e))?;
        Ok(Container { tensors, about })
    }

    /// The metadata, as a value.
    ///
    /// # Errors
    /// [`FileError::Structure`] if they are not a `T`.
    pub fn about<T: DeserializeOwned>(&self) -> Result<T, FileError> {
        serde_json::from_str(&self.about).map_err(|e| FileError::structure("about", e))
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// [`FileError::Mismatch`] if there is none.
    pub fn tensor(&self, name: &str) -> Result<&Entry, FileError> {
        let missing = || FileError::Mismatch(vec![format!("there is no tensor `{name}`")]);
        self.tensors.iter().find(|tensor| tensor.name == name).ok_or_else(missing)
    }

    /// The bytes of a file of this kind and version.
    ///
    /// # Errors
    /// [`FileError::Structure`] for two tensors of one name, a tensor whose bytes do not fill its shape, or an `about`
    /// that is not JSON.
    pub fn to_bytes(&self, kind: &str, version: u32) -> Result<Vec<u8>, FileError> {
        let mut names = BTreeSet::from(["__metadata__"]); // which safetensors reserves
        if let Some(twice) = self.tensors.iter().find(|tensor| !names.insert(&tensor.name)) {
            return Err(FileError::structure(format!("tensor `{}`", twice.name), "the name is taken"));
        }
        let about = RawValue::from_string(self.about.clone()).map_err(|e| FileError::structure("about", e))?;
        let library = env!("CARGO_PKG_VERSION").to_string();
        let mut header = Header { format: kind.into(), format_version: version, library, checksum: None, about };
        header.checksum = Some(checksum(&header, &self.tensors));
        let text = serde_json::to_string(&header).map_err(|e| FileError::structure("metadata", e))?;
        let tensors = self.tensors.iter().map(|tensor| (&tensor.name, tensor));
        safetensors::serialize(tensors, Some(HashMap::from([(KEY.to_string(), text)])))
            .map_err(|e| FileError::structure("tensors", e))
    }

    /// Reads a file of this kind, of any version up to `newest`.
    ///
    /// # Errors
    /// [`FileError::NotSafetensors`], [`FileError::Foreign`], [`FileError::Kind`], [`FileError::Version`],
    /// [`FileError::Checksum`], or [`FileError::Structure`] for metadata that this library does not write.
    pub fn parse(kind: &str, newest: u32, bytes: &[u8]) -> Result<Self, FileError> {
        let (tensors, metadata) = parse_any(bytes)?;
        let text = metadata.ok_or(FileError::Foreign)?;
        let claim: Claim = serde_json::from_str(&text).map_err(unreadable)?;
        if claim.format != kind {
            return Err(FileError::Kind { expected: kind.into(), found: claim.format });
        }
        if !(1..=newest).contains(&claim.format_version) {
            return Err(FileError::Version { found: claim.format_version, newest });
        }
        let header = header(&text, &tensors)?;
        Ok(Container { tensors, about: header.about.get().to_string() })
    }

    /// [`parse`](Container::parse) of a file.
    ///
    /// # Errors
    /// The same, and [`FileError::Read`] and [`FileError::TooLarge`]; all name the file.
    pub fn read(path: &Path, kind: &str, newest: u32) -> Result<Self, FileError> {
        Self::parse(kind, newest, &read(path, MAX_BYTES)?).map_err(|error| error.in_file(path))
    }

    /// Writes [`to_bytes`](Container::to_bytes) to the file at `path`, atomically.
    ///
    /// # Errors
    /// [`FileError::Write`], and those of [`to_bytes`](Container::to_bytes).
    pub fn write(&self, path: &Path, kind: &str, version: u32) -> Result<(), FileError> {
        let bytes = self.to_bytes(kind, version).map_err(|error| error.in_file(path))?;
        file::replace(path, &bytes).map_err(|source| FileError::Write { path: path.into(), source })
    }
}

/// The tensors of any safetensors file, in order of their names, and this library's metadata, if it has them.
///
/// # Errors
/// [`FileError::NotSafetensors`]. Memory is allocated only for bytes that the file has.
pub fn parse_any(bytes: &[u8]) -> Result<(Vec<Entry>, Option<String>), FileError> {
    let not = |why: &dyn ToString| FileError::NotSafetensors(why.to_string());
    let (size, rest) = bytes.split_first_chunk().ok_or_else(|| not(&"too short"))?;
    let size = usize::try_from(u64::from_le_bytes(*size)).map_err(|e| not(&e))?;
    let (header, data) = rest.split_at_checked(size).ok_or_else(|| not(&"its header is longer than the file"))?;
    // From here the safetensors crate's own function would add up sizes without checking for overflow.
    let metadata: Metadata = serde_json::from_slice(header).map_err(|e| not(&e))?;
    if metadata.data_len() != data.len() {
        return Err(not(&format!("{} bytes of data, {} in the header", data.len(), metadata.data_len())));
    }
    let entry = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let (start, end) = info.data_offsets;
        let bytes = data.get(start..end).ok_or_else(|| not(&format!("`{name}` ends beyond the file")))?.to_vec();
        Ok(Entry { name, dtype: info.dtype, shape: info.shape.clone(), bytes })
    };
    let mut tensors: Vec<Entry> = metadata.tensors().into_iter().map(entry).collect::<Result<_, _>>()?;
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let ours = metadata.metadata().as_ref().and_then(|all| all.get(KEY).cloned());
    Ok((tensors, ours))
}

/// The tensors of [`any`] safetensors file.
///
/// # Errors
/// As [`any`].
pub fn tensors(bytes: &[u8]) -> Result<Vec<Entry>, FileError> {
    Ok(any(bytes)?.0)
}

/// The tensors of any safetensors file, in order of their names. If this library wrote the file, its checksum is
/// checked, and its `about` is returned as JSON, too.
///
/// # Errors
/// [`FileError::NotSafetensors`], [`FileError::Checksum`], or [`FileError::Structure`] for metadata that this library
/// does not write.
pub fn any(bytes: &[u8]) -> Result<(Vec<Entry>, Option<String>), FileError> {
    let (tensors, metadata) = parse_any(bytes)?;
    let header = metadata.map(|text| header(&text, &tensors)).transpose()?;
    Ok((tensors, header.map(|header| header.about.get().to_string())))
}

/// This library's metadata, checked against the tensors.
fn header(text: &str, tensors: &[Entry]) -> Result<Header, FileError> {
    let header: Header = serde_json::from_str(text).map_err(unreadable)?;
    match (&header.checksum, checksum(&header, tensors)) {
        (Some(expected), found) if *expected != found => Err(FileError::Checksum { expected: expected.clone(), found }),
        _ => Ok(header),
    }
}

fn unreadable(error: serde_json::Error) -> FileError {
    FileError::structure("metadata `sparsevd`", error)
}

/// All bytes of a file that has no more than `limit`.
///
/// # Errors
/// [`FileError::Read`], [`FileError::TooLarge`].
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read { path: path.into(), source };
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a file")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let too_large = || FileError::TooLarge { limit }.in_file(path);
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

fn checksum(header: &Header, tensors: &[Entry]) -> String {
    let mut crc = crc32fast::Hasher::new();
    let mut text = |text: &str| {
        crc.update(&(text.len() as u64).to_le_bytes());
        crc.update(text.as_bytes());
    };
    text(&header.format);
    text(&header.format_version.to_string());
    text(&header.library);
    text(header.about.get());
    let mut tensors: Vec<&Entry> = tensors.iter().collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    for tensor in &tensors {
        text(&tensor.name);
        text(&format!("{} {:?}", tensor.dtype, tensor.shape));
    }
    tensors.iter().for_each(|tensor| crc.update(&tensor.bytes));
    format!("crc32:{:08x}", crc.finalize())
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
