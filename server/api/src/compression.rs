//! Smaller answers for clients that take them: gzip or Brotli (RFC 9110, section 8.4.1).

use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, NotForContentType, Predicate, SizeAbove};

/// Answers below this many bytes fit into one packet as they are.
const SMALLEST: u16 = 1024;

/// Compresses whole answers. Streams go out as they are: an event has to arrive when it happens, and a compressor holds
/// it back.
pub(crate) fn layer() -> CompressionLayer<And<SizeAbove, NotForContentType>> {
    let worth_it = SizeAbove::new(SMALLEST).and(NotForContentType::SSE);
    // Text of this size gains little from more effort, and it is the async threads that make it.
    CompressionLayer::new().quality(CompressionLevel::Precise(4)).compress_when(worth_it)
}
