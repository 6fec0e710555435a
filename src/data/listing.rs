//! The files and folders in a folder.

use std::path::{Path, PathBuf};

use super::DataError;

/// The names of the files and folders in a folder, sorted, without hidden ones.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) dir: PathBuf,
    pub(super) files: Vec<String>,
    pub(super) folders: Vec<String>,
}

impl Listing {
    /// Lists a folder.
    ///
    /// # Errors
    /// [`DataError::Foreign`] for a file, [`DataError::Read`] if the folder does not exist or cannot be read.
    pub(super) fn of(dir: &Path) -> Result<Self, DataError> {
        let failed = |source| DataError::Read { path: dir.into(), source };
        if dir.is_file() {
            let todo = "give the folder that holds the files of the data set".into();
            return Err(DataError::Foreign { at: dir.display().to_string(), what: "a file".into(), todo });
        }
        let mut listing = Self { dir: dir.into(), ..Self::default() };
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if !is_hidden(&name) {
                let is_dir = dir.join(&name).is_dir();
                if is_dir { &mut listing.folders } else { &mut listing.files }.push(name);
            }
        }
        listing.files.sort_unstable();
        listing.folders.sort_unstable();
        Ok(listing)
    }

    /// The first of these names, each plain before gzipped, that is a file in the folder.
    pub(super) fn find(&self, names: impl IntoIterator<Item = String>) -> Option<PathBuf> {
        let mut spelled = names.into_iter().flat_map(|name| [name.clone(), format!("{name}.gz")]);
        spelled.find(|name| self.files.contains(name)).map(|name| self.dir.join(name))
    }

    /// The error for a part of a data set that is not in the folder.
    pub(super) fn missing(&self, role: &'static str, looked_for: Vec<String>) -> DataError {
        let folders = self.folders.iter().map(|name| format!("{name}/"));
        DataError::Missing {
            dir: self.dir.clone(),
            role,
            looked_for,
            there: self.files.iter().cloned().chain(folders).collect(),
        }
    }
}

/// True for files that operating systems add: macOS's `._` and `.DS_Store`, Windows's thumbnails.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
        || ["__MACOSX", "Thumbs.db", "desktop.ini"].iter().any(|known| name.eq_ignore_ascii_case(known))
}
