//! Stopping by Ctrl-C and `kill`: the first stops after the current step, the second immediately.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// The number of the signal that arrived; 0 before any.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The flag that Ctrl-C (SIGINT) and SIGTERM set. With a second one the process ends immediately.
///
/// # Errors
/// If they cannot be caught.
pub fn stop_on_signal() -> std::io::Result<&'static AtomicBool> {
    static CAUGHT: AtomicBool = AtomicBool::new(false);
    if !CAUGHT.swap(true, Relaxed) {
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, STOP.clone())?; // before the flag is set by this one
            flag::register_usize(signal, SIGNAL.clone(), signal as usize)?;
            flag::register(signal, STOP.clone())?;
        }
    }
    Ok(&STOP)
}

/// The exit code of a process that a signal has stopped: 128 and the signal's number, so 130 after Ctrl-C and 143 after
/// SIGTERM.
pub fn exit_code() -> Option<u8> {
    let signal = SIGNAL.load(Relaxed);
    (signal > 0).then(|| u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
