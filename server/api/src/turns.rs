//! A conversation under construction, for dialects whose messages are not the turns that chat templates know.

use mlx_gate_core::{Message, Role, ToolCall};

/// Turns so far, oldest first. What one role says several times in a row is one turn.
#[derive(Default)]
pub(crate) struct Turns(Vec<Message>);

impl Turns {
    /// Instructions. In front of everything they are the system's turn. Chat templates know no other place for one: some
    /// refuse it, some drop it, and models lose the thread. So instructions in the middle of a conversation stay where
    /// they are, which keeps the prompt before them as it was, as a marked part of a user's turn.
    pub(crate) fn system(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.0.iter().all(|turn| turn.role == Role::System) {
            self.say(Role::System, text);
        } else {
            self.say(Role::User, &format!("<system-reminder>\n{text}\n</system-reminder>"));
        }
    }

    /// A paragraph of a turn.
    pub(crate) fn say(&mut self, role: Role, text: &str) {
        append(&mut self.turn(role).content, text);
    }

    /// What the assistant thought.
    pub(crate) fn think(&mut self, text: &str) {
        append(&mut self.turn(Role::Assistant).reasoning, text);
    }

    /// A call the assistant made.
    pub(crate) fn call(&mut self, call: ToolCall) {
        self.turn(Role::Assistant).tool_calls.push(call);
    }

    /// What a call came to. `false` where no earlier call has this id.
    pub(crate) fn result(&mut self, id: String, text: String) -> bool {
        let mut calls = self.0.iter().flat_map(|turn| &turn.tool_calls);
        let Some(name) = calls.find(|call| call.id == id).map(|call| call.name.clone()) else { return false };
        let mut message = turn(Role::Tool);
        message.content = Some(text);
        message.tool_call_id = Some(id);
        message.name = Some(name);
        self.0.push(message);
        true
    }

    /// Who spoke last.
    pub(crate) fn last(&self) -> Option<Role> {
        self.0.last().map(|turn| turn.role)
    }

    pub(crate) fn into_messages(self) -> Vec<Message> {
        self.0
    }

    /// The last turn, if it is of this role, or a new one.
    fn turn(&mut self, role: Role) -> &mut Message {
        if self.last() != Some(role) {
            self.0.push(turn(role));
        }
        let last = self.0.len() - 1;
        &mut self.0[last]
    }
}

fn turn(role: Role) -> Message {
    Message { role, content: None, reasoning: None, tool_calls: Vec::new(), tool_call_id: None, name: None }
}

fn append(to: &mut Option<String>, text: &str) {
    let to = to.get_or_insert_default();
    if !to.is_empty() && !text.is_empty() {
        to.push('\n');
    }
    to.push_str(text);
}
