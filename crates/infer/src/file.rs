//! Atomic replacement of files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Replaces a file atomically: writes a temporary file beside `path`, syncs it, renames it to `path` and syncs the
/// folder, which is created if it does not exist. A process that is killed meanwhile leaves the earlier file or the new
/// one; [`sweep`] removes its temporary file.
///
/// # Errors
/// The system's. The earlier file is then as it was, unless only the last step failed: then `path` is the complete new
/// file, and only a power failure could bring back the earlier one.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (folder, _) = parts(path)?;
    replace_by(path, |file| file.write_all(bytes).and_then(|()| file.sync_all()), |new| fs::rename(new, path))?;
    sync_folder(folder)
}

/// Removes the temporary files that killed processes left beside `path`; returns their number. Do not call it while
/// another process writes to `path`.
///
/// # Errors
/// The system's; if the folder does not exist, there is nothing to remove.
pub fn sweep(path: &Path) -> io::Result<usize> {
    let (folder, name) = parts(path)?;
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if is_temporary(&entry.file_name().to_string_lossy(), &name) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The folder of a path, and the file's name.
fn parts(path: &Path) -> io::Result<(&Path, String)> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok((folder, name.to_string_lossy().into_owned()))
}

/// [`replace`] with the two steps that can fail as arguments, for tests.
fn replace_by(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
    rename: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let (folder, name) = parts(path)?;
    fs::create_dir_all(folder)?;
    let (temporary, mut file) = create(folder, &name)?;
    let written = fill(&mut file).and_then(|()| rename(&temporary));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Creates a new file under a name that no other process or thread uses.
fn create(folder: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    first_free(folder, name, || COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The same, under the first name whose number is free.
fn first_free(folder: &Path, name: &str, mut next: impl FnMut() -> u32) -> io::Result<(PathBuf, File)> {
    loop {
        let count = next();
        let path = folder.join(format!(".{name}.{}-{count}.tmp", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {} // an earlier process had the same id
            file => return Ok((path, file?)),
        }
    }
}

/// True if `file` is a name that [`create`] gives to a temporary file for `name`.
fn is_temporary(file: &str, name: &str) -> bool {
    let middle =
        || file.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".tmp")?.split_once('-');
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    middle().is_some_and(|(process, count)| number(process) && number(count))
}

/// Syncs a folder, so that the rename survives a power failure. Does nothing if the system or the file system cannot
/// sync folders.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(e) if may_lack(e.kind()) => Ok(()),
        synced => synced,
    }
}

/// True for the errors of file systems that cannot sync folders.
fn may_lack(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(kind, InvalidInput | PermissionDenied | Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn folders_are_made_and_files_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/page.html");
        replace(&path, b"first, and longer").unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(path.parent().unwrap()), ["page.html"]);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        assert!(replace(&taken, b"x").is_err()); // a folder cannot be replaced by a file
        assert_eq!(names(dir.path()), ["taken"]);
        assert!(replace(Path::new("/"), b"x").is_err());
        assert!(replace(&dir.path().join(".."), b"x").is_err());
    }

    /// The disk is full after any number of bytes, at the sync, or the rename fails.
    #[test]
    fn whatever_fails_the_earlier_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        replace(&path, b"earlier").unwrap();
        let bytes = b"the new contents";
        for n in 0..=bytes.len() {
            let fill = |file: &mut File| file.write_all(&bytes[..n]).and(Err(full()));
            let error = replace_by(&path, fill, |new| fs::rename(new, &path)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"earlier".to_vec(), vec!["state".to_string()]));
        }
        replace_by(&path, |file| file.write_all(bytes), |_| Err(full())).unwrap_err();
        assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"earlier".to_vec(), vec!["state".to_string()]));
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        assert_eq!(sweep(&dir.path().join("not there/state")).unwrap(), 0);
        replace(&path, b"kept").unwrap();
        let stale = [".state.123-0.tmp", ".state.4-17.tmp"];
        let others = [".state.tmp", ".state.x-1.tmp", ".state.1-.tmp", ".other.1-2.tmp", "state.1-2.tmp", "state"];
        for name in stale.iter().chain(&others) {
            fs::write(dir.path().join(name), b"half").unwrap();
        }
        assert_eq!(sweep(&path).unwrap(), 2);
        let (mut left, mut expected) = (names(dir.path()), others.map(String::from));
        left.sort();
        expected.sort();
        assert_eq!(left, expected);
    }

    /// An earlier process had the same id, and left files under the names that come next.
    #[test]
    fn a_name_that_is_taken_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let numbered = |count: u32| dir.path().join(format!(".state.{}-{count}.tmp", std::process::id()));
        (5..8).for_each(|count| fs::write(numbered(count), b"half").unwrap());
        let mut numbers = 5..;
        let (path, _) = first_free(dir.path(), "state", || numbers.next().unwrap()).unwrap();
        assert_eq!(path, numbered(8));
        assert_eq!(sweep(&dir.path().join("state")).unwrap(), 4);
    }
}
