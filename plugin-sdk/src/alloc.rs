//! The heap of a plugin: it forgets its configuration, and serves a request from one piece of memory.
//!
//! The host snapshots a plugin's memory after `configure`, and freed memory is part of the snapshot: without care every
//! secret of the configuration would lie in it, in the text the host passed and in whatever a parser copied. So all that is
//! freed before `configure` has returned is overwritten.
//!
//! From then on memory comes from an [`Arena`] as long as it lasts. A request is many small allocations, among them one of the
//! host's for nearly every argument, and taking the next bytes of an arena is less work than a general allocator's. It also
//! keeps what a request writes close together; the host restores each page that was written after the request.
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; this one overwrites what is being freed, and hands out an array piece by piece"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: Heap<System> = Heap::new(System);

#[cfg(not(target_arch = "wasm32"))]
static HEAP: Heap<System> = Heap::new(System);

/// Room in the general allocator for what the arena cannot hold, so that an instance does not begin by growing its memory:
/// that costs two system calls.
const HEADROOM: usize = 64 * 1024;

/// Called at the end of `configure`.
pub(crate) fn settle() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(HEADROOM)));
    #[cfg(target_arch = "wasm32")]
    clear_stack();
    HEAP.configured.store(true, Relaxed);
}

/// Overwrites what functions that have returned left on the stack: it is part of the snapshot like all memory. Most of it was
/// never used, and is only read: what is written takes memory, also in the host, which keeps written pages for a next instance
/// and restores each of them after every request.
#[cfg(target_arch = "wasm32")]
fn clear_stack() {
    unsafe extern "C" {
        /// The linker's: where the stack ends. It grows downwards.
        static __stack_low: u64;
    }
    const FRAME: usize = 256;
    let top = 0u8;
    let mut word = (&raw const __stack_low).cast_mut();
    let unused = (&raw const top).addr().saturating_sub(word.addr() + FRAME) / size_of::<u64>();
    for _ in 0..unused {
        // SAFETY: all of the stack below this frame is unused, aligned to 16 bytes, and no function is called that would use
        // it. What this frame itself may have below `top` is left alone.
        unsafe {
            if word.read_volatile() != 0 {
                word.write_volatile(0);
            }
            word = word.add(1);
        }
    }
}

/// Laid out as written: what every allocation touches lies beside the arena's first bytes, on one page.
#[repr(C, align(4096))]
struct Heap<A> {
    inner: A,
    configured: AtomicBool,
    arena: Arena,
}

impl<A> Heap<A> {
    const fn new(inner: A) -> Self {
        Self { inner, configured: AtomicBool::new(false), arena: Arena::new() }
    }

    fn is_configured(&self) -> bool {
        self.configured.load(Relaxed)
    }
}

// SAFETY: a block is either `inner`'s, and then every call about it is passed on with the caller's own arguments, whose
// guarantees are the same, or the arena's; which of the two its address says. The one addition, writing zeroes to a block of
// `inner` that is about to be freed, stays within the block's layout.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Heap<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.is_configured()
            && let Some(block) = self.arena.take(layout)
        {
            return block;
        }
        // SAFETY: as above.
        unsafe { self.inner.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if self.arena.holds(pointer) {
            return self.arena.give_back();
        }
        if !self.is_configured() {
            // SAFETY: the block is the caller's until `inner` gets it back. The barrier keeps the compiler from dropping
            // the write, which nothing reads.
            unsafe { pointer.write_bytes(0, layout.size()) };
            std::hint::black_box(pointer);
        }
        // SAFETY: as above.
        unsafe { self.inner.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let in_arena = self.arena.holds(pointer);
        if in_arena && self.arena.resize(pointer, layout.size(), new_size) {
            return pointer;
        }
        if !in_arena && self.is_configured() {
            // SAFETY: as above.
            return unsafe { self.inner.realloc(pointer, layout, new_size) };
        }
        // While `configure` runs, a block that `inner` moved would leave a copy behind, so it is moved here.
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

/// Bytes handed out from the first to the last, and from the first again once all have been given back.
#[repr(C)]
struct Arena {
    /// Where the free bytes begin.
    next: AtomicUsize,
    /// Blocks that are out.
    live: AtomicUsize,
    bytes: UnsafeCell<[u8; Self::SIZE]>,
}

// SAFETY: a component has one thread. Elsewhere it is only used by tests, each on one of its own.
unsafe impl Sync for Arena {}

impl Arena {
    /// More than most requests need; others go on with the general allocator. Small, so that what lies before and behind
    /// it in memory is near: where a request reads one page, the kernel maps its 15 neighbours too, and the host looks at
    /// all of them afterwards.
    const SIZE: usize = 16 * 1024;

    const fn new() -> Self {
        let bytes = UnsafeCell::new([0; Self::SIZE]);
        Self { next: AtomicUsize::new(0), live: AtomicUsize::new(0), bytes }
    }

    fn start(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    fn holds(&self, pointer: *mut u8) -> bool {
        pointer.addr().wrapping_sub(self.start().addr()) < Self::SIZE
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let next = self.next.load(Relaxed);
        let base = self.start().addr();
        let begin = (base + next).next_multiple_of(layout.align()) - base;
        let end = begin.checked_add(layout.size()).filter(|end| *end <= Self::SIZE)?;
        self.next.store(end, Relaxed);
        self.live.store(self.live.load(Relaxed) + 1, Relaxed);
        // SAFETY: `begin` is at most `SIZE`, so the result is in the array or at its end.
        Some(unsafe { self.start().add(begin) })
    }

    fn give_back(&self) {
        let live = self.live.load(Relaxed) - 1;
        self.live.store(live, Relaxed);
        if live == 0 {
            self.next.store(0, Relaxed);
        }
    }

    /// Resizes a block where it lies, if it is the last one or gets smaller.
    fn resize(&self, pointer: *mut u8, old_size: usize, new_size: usize) -> bool {
        let begin = pointer.addr() - self.start().addr();
        if begin + old_size != self.next.load(Relaxed) {
            return new_size <= old_size;
        }
        let Some(end) = begin.checked_add(new_size).filter(|end| *end <= Self::SIZE) else { return false };
        self.next.store(end, Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::Mutex;
    use std::sync::atomic::Ordering::Relaxed;

    use super::{Arena, Heap};

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
        let heap = Heap::new(Witness::default());
        let layout = Layout::array::<u8>(8).expect("8 bytes are a valid layout");
        // SAFETY: blocks are written within their layout and freed once, with the layout they have.
        unsafe {
            let block = heap.alloc(layout);
            block.write_bytes(7, 8);
            let grown = heap.realloc(block, layout, 16);
            assert_eq!(std::slice::from_raw_parts(grown, 8), [7; 8]);
            grown.write_bytes(7, 16);
            heap.dealloc(grown, Layout::array::<u8>(16).expect("16 bytes are a valid layout"));

            heap.configured.store(true, Relaxed);
            let block = heap.alloc(layout);
            block.write_bytes(7, 8);
            heap.dealloc(block, layout);
        }
        assert_eq!(*heap.inner.0.lock().expect("nothing panicked"), [vec![0; 8], vec![0; 16]]);
    }

    #[test]
    fn after_configure_the_arena_is_used_again_and_again() {
        let heap = Box::new(Heap::new(System));
        heap.configured.store(true, Relaxed);
        let layout = |size| Layout::from_size_align(size, 8).expect("a valid layout");
        // SAFETY: blocks are written within their layout and freed once, with the layout they have.
        unsafe {
            let first = heap.alloc(layout(3));
            first.write_bytes(1, 3);
            let second = heap.alloc(layout(8));
            second.write_bytes(2, 8);
            assert_eq!(second.addr() - first.addr(), 8, "side by side, aligned");

            let grown = heap.realloc(second, layout(8), 32);
            assert_eq!(grown, second, "the last block grows where it is");
            let moved = heap.realloc(first, layout(3), 16);
            assert_eq!(moved.addr() - grown.addr(), 32, "another one moves");
            assert_eq!(std::slice::from_raw_parts(moved, 3), [1; 3]);
            assert_eq!(std::slice::from_raw_parts(grown, 8), [2; 8]);

            heap.dealloc(grown, layout(32));
            let third = heap.alloc(layout(8));
            assert_eq!(third.addr() - moved.addr(), 16, "nothing is used twice while a block is out");
            heap.dealloc(third, layout(8));
            heap.dealloc(moved, layout(16));
            let again = heap.alloc(layout(8));
            assert_eq!(again, first, "all was given back");
            heap.dealloc(again, layout(8));
        }
    }

    #[test]
    fn what_the_arena_cannot_hold_comes_from_the_general_allocator() {
        let heap = Box::new(Heap::new(Witness::default()));
        heap.configured.store(true, Relaxed);
        let whole = Layout::array::<u8>(Arena::SIZE).expect("a valid layout");
        let byte = Layout::new::<u8>();
        // SAFETY: blocks are written within their layout and freed once, with the layout they have.
        unsafe {
            let arena = heap.alloc(whole);
            assert!(heap.arena.holds(arena));
            let beside = heap.alloc(byte);
            assert!(!heap.arena.holds(beside));
            beside.write(9);
            let grown = heap.realloc(arena, whole, Arena::SIZE + 1);
            assert!(!heap.arena.holds(grown), "too large for the arena by now");
            heap.dealloc(beside, byte);
            assert_eq!(*heap.inner.0.lock().expect("nothing panicked"), [[9]]);
            let reused = heap.alloc(byte);
            assert!(heap.arena.holds(reused), "empty again");
            heap.dealloc(reused, byte);
            heap.inner.0.lock().expect("nothing panicked").clear();
            grown.write_bytes(0, Arena::SIZE + 1);
            let grown_layout = Layout::array::<u8>(Arena::SIZE + 1).expect("a valid layout");
            heap.dealloc(grown, grown_layout);
        }
    }
}
