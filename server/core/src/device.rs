use crate::{Decoder, Encoder};

/// A loaded model on the device, by what it does. Not `Send`.
pub enum DeviceModel {
    /// It continues text.
    Decoder(Box<dyn Decoder>),
    /// It embeds or scores.
    Encoder(Box<dyn Encoder>),
}
