//! The allocator, and how soon it gives memory back.
#![expect(unsafe_code, reason = "mimalloc's options are set through its C interface")]

use std::ffi::{c_int, c_long};

/// A request through the gate is a few hundred small allocations; glibc's allocator takes 5 % longer for all of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3 (`mimalloc.h`), which libmimalloc-sys does not name.
const PURGE_DELAY: c_int = 15;

/// What it is where nobody has set `MIMALLOC_PURGE_DELAY`, in milliseconds.
const DEFAULT_DELAY: c_long = 1000;

/// Has memory that is not used given back at once. Compiling a plugin takes tens of megabytes for a moment, and what is kept of
/// them for a second or ten is kept for good where plugins change often.
pub(crate) fn give_back_at_once() {
    // SAFETY: reading an option has no conditions. Setting one must not happen while another thread does, and this is called
    // before there is another thread.
    unsafe {
        // Another default is another option, or what the person who runs the server wants.
        if libmimalloc_sys::mi_option_get(PURGE_DELAY) == DEFAULT_DELAY {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, 0);
        }
    }
}
