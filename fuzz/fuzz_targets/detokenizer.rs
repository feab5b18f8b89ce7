//! Tokens to text, and stop strings over it: what is shown is the text up to the first stop string, however tokens cut it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mlx_gate_core::OutputFormat;
use mlx_gate_engine::fake;
use mlx_gate_engine::stop::StopStrings;
use mlx_gate_engine::text::{Beginning, ModelText};
use mlx_gate_fuzz::Input;

static MODEL: LazyLock<ModelText> = LazyLock::new(|| fake::text("fuzz"));

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let mut stop = Vec::new();
    for _ in 0..input.byte() % 4 {
        let length = usize::from(input.byte() % 8);
        stop.push(String::from_utf8_lossy(input.take(length)).into_owned());
    }
    // Tokens of this model are bytes; 0xff stands for the special token and for one that is none.
    let bytes = input.rest();
    let tokens =
        bytes.iter().map(|&byte| if byte == 0xff { 256 + u32::from(byte % 2) } else { u32::from(byte) });

    let mut detokenizer = MODEL.detokenizer(Beginning::Continued, OutputFormat::default());
    let mut stops = StopStrings::new(&stop);
    let (mut shown, mut stopped) = (String::new(), false);
    for token in tokens {
        let mut text = String::new();
        detokenizer.push(token, &mut text);
        let released = stops.push(&text);
        shown.push_str(&released.text);
        stopped = released.stopped;
        if stopped {
            break;
        }
    }
    if !stopped {
        let mut text = String::new();
        detokenizer.finish(&mut text);
        let released = stops.push(&text);
        shown.push_str(&released.text);
        stopped = released.stopped;
        if !stopped {
            shown.push_str(&stops.finish());
        }
    }

    let bytes: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != 0xff).collect();
    let whole = String::from_utf8_lossy(&bytes);
    // The first stop string to be complete counts; of several that end at the same byte the longest.
    let found = stop
        .iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| whole.find(stop.as_str()).map(|at| (at + stop.len(), at)))
        .min();
    assert_eq!(stopped, found.is_some(), "{whole:?} {stop:?}");
    assert_eq!(shown, found.map_or(&*whole, |(_, at)| &whole[..at]), "{stop:?}");
});
