//! The heap of a plugin, which forgets its configuration.
//!
//! The host snapshots a plugin's memory after `configure`, and freed memory is part of the snapshot: without care every
//! secret of the configuration would lie in it, in the text the host passed and in whatever a parser copied. So all that is
//! freed before `configure` has returned is overwritten.
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; this one only overwrites what is being freed"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Room for what a request allocates, so that an instance does not begin by growing its memory: that costs two system
/// calls, which is a sizeable part of a call.
const HEADROOM: usize = 64 * 1024;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: Scrubbing<System> = Scrubbing::new(System);

#[cfg(not(target_arch = "wasm32"))]
static HEAP: Scrubbing<System> = Scrubbing::new(System);

/// Called at the end of `configure`.
pub(crate) fn settle() {
    HEAP.scrubs.store(false, Relaxed);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(HEADROOM)));
}

struct Scrubbing<A> {
    inner: A,
    scrubs: AtomicBool,
}

impl<A> Scrubbing<A> {
    const fn new(inner: A) -> Self {
        Self { inner, scrubs: AtomicBool::new(true) }
    }
}

// SAFETY: every call is passed on to `inner` with the caller's own arguments, whose guarantees are the same; the one
// addition, writing zeroes to a block that is about to be freed, stays within the block's layout.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Scrubbing<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.inner.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if self.scrubs.load(Relaxed) {
            // SAFETY: the block is the caller's until `inner` gets it back. The barrier keeps the compiler from dropping
            // the write, which nothing reads.
            unsafe { pointer.write_bytes(0, layout.size()) };
            std::hint::black_box(pointer);
        }
        // SAFETY: as above.
        unsafe { self.inner.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !self.scrubs.load(Relaxed) {
            // SAFETY: as above.
            return unsafe { self.inner.realloc(pointer, layout, new_size) };
        }
        // A block that `inner` moved would leave a copy behind, so it is moved here.
        // SAFETY: the caller guarantees that `new_size`, rounded up to the alignment, does not overflow. Both blocks are
        // valid for the smaller size and distinct, the new one having just been allocated.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(pointer, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::Mutex;
    use std::sync::atomic::Ordering::Relaxed;

    use super::Scrubbing;

    /// Keeps what a block held when it was freed.
    #[derive(Default)]
    struct Witness(Mutex<Vec<Vec<u8>>>);

    // SAFETY: passes everything on to the system allocator; reads a block only while it is still allocated.
    unsafe impl GlobalAlloc for Witness {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's guarantees are passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the block was allocated with this layout, and the test wrote all of it.
            let held = unsafe { std::slice::from_raw_parts(pointer, layout.size()) }.to_vec();
            self.0.lock().expect("no test panics while holding this").push(held);
            // SAFETY: the caller's guarantees are passed on.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    #[test]
    fn memory_is_overwritten_before_it_is_freed_until_configured() {
        let heap = Scrubbing::new(Witness::default());
        let layout = Layout::array::<u8>(8).expect("8 bytes are a valid layout");
        // SAFETY: blocks are written within their layout and freed once, with the layout they have.
        unsafe {
            let block = heap.alloc(layout);
            block.write_bytes(7, 8);
            let grown = heap.realloc(block, layout, 16);
            assert_eq!(std::slice::from_raw_parts(grown, 8), [7; 8]);
            grown.write_bytes(7, 16);
            heap.dealloc(grown, Layout::array::<u8>(16).expect("16 bytes are a valid layout"));

            heap.scrubs.store(false, Relaxed);
            let block = heap.alloc(layout);
            block.write_bytes(7, 8);
            heap.dealloc(block, layout);
        }
        assert_eq!(*heap.inner.0.lock().expect("nothing panicked"), [vec![0; 8], vec![0; 16], vec![7; 8]]);
    }
}
