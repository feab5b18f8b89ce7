//! Values that are not what their types say. The host must find out.
#![expect(unsafe_code, reason = "lying to the host takes values that the language rules out")]
#![expect(clippy::same_length_and_capacity, reason = "nothing of these is there to be freed")]

/// Text of this length, of which next to nothing is there.
pub(crate) fn long_text(length: usize) -> String {
    // SAFETY: none; the value goes nowhere but to the host, which has to check that it lies within this memory.
    unsafe { String::from_raw_parts(Box::leak(Box::new(b'x')), length, length) }
}

/// A list of this many items, none of which is there.
pub(crate) fn long_list(length: usize) -> Vec<(String, String)> {
    let none = std::ptr::NonNull::<(String, String)>::dangling();
    // SAFETY: as above.
    unsafe { Vec::from_raw_parts(none.as_ptr(), length, length) }
}

/// Text that is not UTF-8.
pub(crate) fn no_utf8() -> String {
    // SAFETY: as above.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, b'b']) }
}
