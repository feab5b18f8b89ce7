//! WASI for guest languages that cannot do without: a world with a clock and randomness in it, and nothing else. No files,
//! environment, arguments, sockets or names; what is printed goes to the plugin's log.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::State;
use crate::bindings::v0_1::mlx_gate::plugin::host::Level;

/// What one call may print, in bytes. The rest is dropped.
const MOST_PRINTED: usize = 64 << 10;

/// Resources (streams, pollables, descriptors) one instance may hold.
const MOST_RESOURCES: usize = 256;

/// The most bytes of one call for randomness.
const MOST_RANDOM_BYTES: u64 = 4096;

/// An instance's WASI. Made when the guest first asks for something of it: most plugins never do.
pub(super) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    printed: [(Level, Printed); 2],
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::new()));
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

impl Wasi {
    fn new() -> Self {
        let (stdout, stderr) = (Printed::default(), Printed::default());
        let context = WasiCtxBuilder::new()
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MOST_RANDOM_BYTES)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        Self { context, table, printed: [(Level::Info, stdout), (Level::Warn, stderr)] }
    }

    /// What has been printed since the last time, line by line.
    pub(super) fn take_lines(&self) -> Vec<(Level, String)> {
        let printed = self.printed.iter();
        let text = printed.map(|(level, printed)| (*level, printed.take()));
        text.flat_map(|(level, text)| {
            let lines: Vec<_> =
                text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
            lines.into_iter().map(move |line| (level, line))
        })
        .collect()
    }
}

/// What a guest has printed to one stream.
#[derive(Debug, Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    fn add(&self, bytes: &[u8]) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_PRINTED - held.len();
        held.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.add(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST_PRINTED)
    }
}

impl AsyncWrite for Printed {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.add(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, MOST_PRINTED, Wasi};

    #[test]
    fn what_is_printed_comes_out_in_lines_and_within_bounds() {
        let wasi = Wasi::new();
        wasi.printed[0].1.add(b"one\n\ntw");
        wasi.printed[1].1.add(b"oops\xff\n");
        wasi.printed[0].1.add(b"o");
        let line = |level, text: &str| (level, text.to_owned());
        let expected =
            [line(Level::Info, "one"), line(Level::Info, "two"), line(Level::Warn, "oops\u{fffd}")];
        assert_eq!(wasi.take_lines(), expected);
        assert_eq!(wasi.take_lines(), []);
        wasi.printed[0].1.add(&vec![b'x'; MOST_PRINTED]);
        wasi.printed[0].1.add(b"more");
        assert_eq!(wasi.take_lines()[0].1.len(), MOST_PRINTED);
    }
}
