use std::io;

use mlx_gate_core::{Conversation, EncodeInput, Prompt};
use serde_json::Value;

/// Bytes of text in a token: what tokenizers come to for English prose. Code and other scripts take more tokens.
const BYTES_PER_TOKEN: usize = 4;

/// How long a prompt will be, in tokens, as far as that can be said without the model. Exact where the client sent
/// tokens.
pub(crate) fn tokens(prompt: &Prompt) -> u32 {
    let tokens = match prompt {
        Prompt::Tokens(tokens) => tokens.len(),
        Prompt::Text(text) => text.len().div_ceil(BYTES_PER_TOKEN),
        Prompt::Chat(conversation) => bytes(conversation).div_ceil(BYTES_PER_TOKEN),
    };
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// The same for a text that is read whole.
pub(crate) fn encode_tokens(input: &EncodeInput) -> u32 {
    let tokens = match input {
        EncodeInput::Tokens(tokens) => tokens.len(),
        EncodeInput::Text(text) => text.len().div_ceil(BYTES_PER_TOKEN),
        EncodeInput::Pair(first, second) => (first.len() + second.len()).div_ceil(BYTES_PER_TOKEN),
    };
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

fn bytes(conversation: &Conversation) -> usize {
    let messages = conversation.messages.iter().map(|message| {
        let calls = message.tool_calls.iter().map(|call| call.name.len() + json_bytes(&call.arguments));
        let texts = [&message.content, &message.reasoning].into_iter().flatten().map(String::len);
        texts.chain(calls).sum::<usize>()
    });
    messages.chain(conversation.tools.iter().map(json_bytes)).sum()
}

/// Length of a value as JSON text.
fn json_bytes(value: &Value) -> usize {
    let mut counted = Counter(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut counted, value);
    counted.0
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mlx_gate_core::{Message, Role, ToolCall};
    use serde_json::json;

    use super::*;

    #[test]
    fn all_text_counts_and_tokens_are_exact() {
        assert_eq!(tokens(&Prompt::Tokens(vec![7; 5])), 5);
        assert_eq!(tokens(&Prompt::Text(String::new())), 0);
        assert_eq!(tokens(&Prompt::Text("12345".to_owned())), 2);
        let call = ToolCall { id: "unseen".to_owned(), name: "f".to_owned(), arguments: json!({"a": 1}) };
        let message = Message {
            role: Role::Assistant,
            content: Some("x".repeat(100)),
            reasoning: Some("y".repeat(10)),
            tool_calls: vec![call],
            tool_call_id: None,
            name: None,
        };
        let tools = vec![json!({"type": "function"})];
        let chat = Conversation { messages: vec![message], tools, ..Conversation::default() };
        // 100 + 10 + `f{"a":1}` + `{"type":"function"}`
        assert_eq!(tokens(&Prompt::Chat(chat)), (100 + 10 + 8 + 19_u32).div_ceil(4));
    }
}
