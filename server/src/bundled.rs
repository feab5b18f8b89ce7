//! The plugins inside the binary.

/// Name and component of each bundled plugin, sorted by name.
pub(crate) static PLUGINS: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
