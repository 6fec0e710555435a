//! Ctrl-C, once to stop at the next good point, twice to stop at once.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The flag that Ctrl-C sets.
///
/// # Errors
/// If it cannot be caught.
pub fn stop_on_ctrl_c() -> Result<&'static AtomicBool, ctrlc::Error> {
    static STOP: AtomicBool = AtomicBool::new(false);
    static CAUGHT: AtomicBool = AtomicBool::new(false);
    if !CAUGHT.swap(true, Relaxed) {
        ctrlc::set_handler(|| {
            if STOP.swap(true, Relaxed) {
                std::process::exit(130);
            }
        })?;
    }
    Ok(&STOP)
}
