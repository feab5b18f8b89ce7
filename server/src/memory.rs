//! The allocator, how soon it gives memory back, and how much there may be.
#![expect(unsafe_code, reason = "mimalloc's options and the system's limits are set through C interfaces")]

use std::ffi::{c_int, c_long};
use std::io;

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

/// From now on this process gets so many bytes of addresses more and no others, and so many seconds of processor time in all.
/// What the allocator set aside when it started is there besides. Other systems than Linux do not say what is in use; there
/// time is the only bound.
pub(crate) fn limit(bytes: u64, seconds: u64) -> io::Result<()> {
    set(libc::RLIMIT_CPU, seconds)?;
    if cfg!(target_os = "linux") { set(libc::RLIMIT_AS, in_use()?.saturating_add(bytes)) } else { Ok(()) }
}

/// Lowers a limit of this process (`setrlimit(2)`).
fn set(resource: Resource, most: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit lives until the calls return; the first writes it, the second reads it.
    let failed = unsafe {
        libc::getrlimit(resource, &raw mut limit) != 0 || {
            limit.rlim_cur = limit.rlim_max.min(most);
            libc::setrlimit(resource, &raw const limit) != 0
        }
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = libc::c_int;

/// Bytes of addresses in use (`proc_pid_statm(5)`).
fn in_use() -> io::Result<u64> {
    // SAFETY: it has no conditions.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_whitespace().next().and_then(|pages| pages.parse::<u64>().ok());
    pages
        .map(|pages| pages.saturating_mul(page))
        .ok_or_else(|| io::Error::other("/proc/self/statm has no size"))
}
