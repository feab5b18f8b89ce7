//! What follows Mistral's `[TOOL_CALLS]`: a list of objects, or since tokenizer v11 a name and its arguments. Models of
//! either kind are converted with templates of the other, so the first character decides.

use super::named::Named;
use super::objects::Objects;
use super::reader::{Cursor, Outcome, Reader, Sink};

/// Reader of one block, in whichever way it is written.
pub(super) struct Mistral {
    objects: Objects,
    named: Named,
    is_list: Option<bool>,
}

impl Mistral {
    pub(super) fn new(objects: Objects, named: Named) -> Self {
        Self { objects, named, is_list: None }
    }
}

impl Reader for Mistral {
    fn read(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Outcome {
        if self.is_list.is_none() {
            cursor.skip_white();
        }
        let Some(byte) = cursor.byte() else { return Outcome::NeedsText };
        if *self.is_list.get_or_insert(matches!(byte, b'[' | b'{')) {
            self.objects.read(cursor, sink)
        } else {
            self.named.read(cursor, sink)
        }
    }

    fn finish(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) {
        if self.is_list == Some(true) {
            self.objects.finish(cursor, sink);
        } else {
            self.named.finish(cursor, sink);
        }
    }
}
