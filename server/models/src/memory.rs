//! Whether weights fit into memory, asked before any of them is read.

use sysinfo::{MemoryRefreshKind, System};

use crate::Error;
use crate::weights::Index;

/// Fails where the weights would not fit into what is free now, reading included.
pub(crate) fn check(index: &Index, weight_bytes: u64, in_f32: bool) -> Result<(), Error> {
    // While it is read, a tensor exists as stored, unpacked on the host, and on the device.
    let needed = weight_bytes + 3 * index.largest();
    let available = available();
    if needed <= available {
        return Ok(());
    }
    let advice = if in_f32 {
        "`--dtype native` keeps the weights as they are stored (smaller, and slower on a CPU), or choose a smaller model"
    } else {
        "choose a smaller model, or one quantized to fewer bits"
    };
    Err(Error::OutOfMemory {
        model: index.model().to_owned(),
        needed,
        available,
        dtype: if in_f32 { "f32" } else { "native" },
        advice: advice.to_owned(),
    })
}

/// Bytes this process could still take: what the machine has free, and what its control group leaves of that. Without a
/// limit where the system does not say.
fn available() -> u64 {
    let Ok(mut system) = System::new() else { return u64::MAX };
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let free = system.available_memory();
    system.cgroup_limits().map_or(free, |limits| free.min(limits.free_memory))
}
