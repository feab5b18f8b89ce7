//! What a plugin must not do. Few of these return.

use std::hint::black_box;

use mlx_gate_plugin::Denial;

use crate::{lies, reach};

/// Commits the deed of this name, and reports what came of it if it lives to.
pub(crate) fn commit(deed: &str) -> Denial {
    match deed {
        "loop" => forever(),
        "memory" => hoard(),
        "stack" => {
            deeper(1);
            done("deep")
        }
        "trap" => trap(),
        "panic" => panic!("a panic of the plugin's own"),
        // 2 MB that are there, and 1 GB that is not.
        "large" => Denial::forbidden("large", "x".repeat(2_000_000)),
        "gigabyte" => Denial::forbidden("gigabyte", lies::long_text(1 << 30)),
        "items" => Denial { headers: lies::long_list(10_000_000), ..done("items") },
        "utf8" => Denial::forbidden("utf8", lies::no_utf8()),
        "log-flood" => reach::flood_the_log(),
        "kv-flood" => reach::flood_the_store(),
        "kv-large" => reach::store_too_much(),
        other => reach::fetch(other),
    }
}

/// The report of a deed that was survived.
pub(crate) fn done(code: &str) -> Denial {
    Denial::forbidden(code, "survived")
}

fn forever() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn hoard() -> Denial {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(black_box(vec![1; 1 << 20]));
    }
}

/// Not a tail call, and not to be made a loop. Its frame is small, so that the machine's stack ends before the guest's own.
#[expect(unconditional_recursion, reason = "it is here to use up the stack")]
fn deeper(depth: u64) -> u64 {
    deeper(depth + 1) + black_box(depth)
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    std::process::abort()
}
