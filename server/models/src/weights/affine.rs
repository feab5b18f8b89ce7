//! Unpacking of MLX's affine quantization on the host.
//!
//! MLX's own `dequantize` knows groups of 32, 64 and 128 only and runs on one thread of the CPU; models exist with other
//! groups, and the whole of a model passes through here when its weights are to live in f32.

use super::quantization::Affine;

/// Unpacks a matrix: `packed` holds `rows` rows of little-endian bit streams, each `columns * bits / 8` bytes long;
/// `scales` and `biases` one number for each group of a row. Each weight is `scale * code + bias`.
///
/// The packing is the one of `mlx::core::quantize`: codes of 2, 4 and 8 bits fill 32-bit words, those of 3 and 6 bits fill
/// 24 bits without a gap, and both are the same stream when read from the lowest bit of the lowest byte upwards.
pub(super) fn unpack(
    packed: &[u8],
    scales: &[f32],
    biases: &[f32],
    columns: usize,
    format: Affine,
) -> Vec<f32> {
    let row_bytes = columns * format.bits / 8;
    let row_groups = columns / format.group_size;
    let rows = scales.len() / row_groups;
    let mut weights = vec![0.0; rows * columns];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let rows_each = rows.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (part, out) in weights.chunks_mut(rows_each * columns).enumerate() {
            scope.spawn(move || {
                for (index, out) in out.chunks_exact_mut(columns).enumerate() {
                    let row = part * rows_each + index;
                    let codes = &packed[row * row_bytes..(row + 1) * row_bytes];
                    let groups = row * row_groups..(row + 1) * row_groups;
                    unpack_row(codes, &scales[groups.clone()], &biases[groups], format, out);
                }
            });
        }
    });
    weights
}

fn unpack_row(codes: &[u8], scales: &[f32], biases: &[f32], format: Affine, out: &mut [f32]) {
    let mask = (1_u32 << format.bits) - 1;
    let (mut buffer, mut filled) = (0_u32, 0);
    let mut bytes = codes.iter();
    for (group, out) in out.chunks_exact_mut(format.group_size).enumerate() {
        let (scale, bias) = (scales[group], biases[group]);
        for weight in out {
            while filled < format.bits {
                buffer |= u32::from(bytes.next().copied().unwrap_or(0)) << filled;
                filled += 8;
            }
            *weight = scale * (buffer & mask) as f32 + bias;
            buffer >>= format.bits;
            filled -= format.bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Affine, unpack};

    fn pack(codes: &[u32], bits: usize) -> Vec<u8> {
        let mut bytes = vec![0; codes.len() * bits / 8];
        for (index, code) in codes.iter().enumerate() {
            for bit in 0..bits {
                let place = index * bits + bit;
                bytes[place / 8] |= ((code >> bit & 1) as u8) << (place % 8);
            }
        }
        bytes
    }

    #[test]
    fn every_width_gives_back_its_codes() {
        for bits in [2, 3, 4, 5, 6, 8] {
            // Two rows of three groups of eight: a group size MLX itself does not know.
            let codes: Vec<u32> = (0..48).map(|index| (index * 7 + 3) % (1 << bits)).collect();
            let scales = [1.0, 2.0, 0.5, -1.0, 4.0, 0.25];
            let biases = [0.0, 1.0, -1.0, 0.5, 8.0, -0.25];
            let format = Affine { bits, group_size: 8 };
            let expected: Vec<f32> = codes
                .iter()
                .enumerate()
                .map(|(index, code)| scales[index / 8] * *code as f32 + biases[index / 8])
                .collect();
            assert_eq!(unpack(&pack(&codes, bits), &scales, &biases, 24, format), expected, "{bits} bits");
        }
    }
}
