//! Stop strings in answers that have reasoning and calls, and which tokens are told of.

use mlx_gate_core::TokenLogprob;

use super::*;

#[tokio::test]
async fn stop_strings_are_looked_for_in_the_text_of_an_answer_alone() {
    let call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>";
    let cases = [
        // Neither in reasoning, nor in marks and the white space beside them, nor in calls.
        (vec!["\n"], format!("Hm.\n\nSo.\n</think>\n\nSee: \n\n{call}\n"), "See:", None),
        (vec![" ", "aris\"}", "<tool_call>", "think>"], format!("So.</think> See: {call}"), "See:", None),
        // Where no call follows, what was held back is text.
        (vec!["\n\n"], "So.</think>\n\nOne\n\ntwo".to_owned(), "One", Some("\n\n")),
        (vec!["\n\n"], "So.</think>\n\nOne\n\n".to_owned(), "One", Some("\n\n")),
        (vec!["<tool_call>"], "So.</think>\n\nOne <tool_call>no".to_owned(), "One ", Some("<tool_call>")),
        // A call that is whole stays one.
        (vec![" \n"], format!("So.</think>{call}\nDone \n\nand"), "Done", Some(" \n")),
    ];
    for (stop, answer, expected, found) in cases {
        let engine = engine(Config::default(), fake::says(&answer));
        let mut conversation = chat("Hi");
        conversation.template_options.insert("enable_thinking".to_owned(), true.into());
        conversation.tools = vec![json!({"type": "function", "function": {"name": "f"}})];
        let stop = stop.into_iter().map(str::to_owned).collect();
        let said = events(&engine, Request { stop, ..request(Prompt::Chat(conversation)) }).await;
        assert_eq!(shown(&said), expected, "{answer:?}");
        let arguments: String = said
            .iter()
            .filter_map(
                |event| if let Event::ToolCall(delta) = event { Some(&*delta.arguments) } else { None },
            )
            .collect();
        assert_eq!(arguments, if answer.contains(call) { "{\"city\": \"Paris\"}" } else { "" }, "{answer:?}");
        let Some(Event::Finished(end)) = said.last() else { panic!("not finished: {said:?}") };
        let reason = if answer.contains(call) { FinishReason::ToolCalls } else { FinishReason::Stop };
        assert_eq!((end.reason, end.stop_sequence.as_deref()), (reason, found), "{answer:?}");
    }
}

#[tokio::test]
async fn log_probabilities_say_which_tokens_are_shown() {
    let call = "<tool_call>{\"name\": \"f\"}</tool_call>";
    for (answer, stop, told, visible) in [
        (format!("Hm.\n</think>\n\n5 €\n{call}"), "+", format!("Hm.\n</think>\n\n5 €\n{call}"), "Hm.5 €"),
        // What becomes of the stop string is not told.
        ("Hm.</think>\n\n5 € a day".to_owned(), " a day", "Hm.</think>\n\n5 €".to_owned(), "Hm.5 €"),
        ("Hm.</think>\n\nSTOP".to_owned(), "STOP", "Hm.</think>\n\n".to_owned(), "Hm."),
    ] {
        let engine = engine(Config::default(), fake::says(&answer));
        let mut conversation = chat("Hi");
        conversation.template_options.insert("enable_thinking".to_owned(), true.into());
        conversation.tools = vec![json!({"type": "function", "function": {"name": "f"}})];
        let request =
            Request { stop: vec![stop.to_owned()], logprobs: Some(0), ..request(Prompt::Chat(conversation)) };
        let said = events(&engine, request).await;
        let tokens = said
            .iter()
            .filter_map(|event| if let Event::Logprobs(tokens) = event { Some(tokens) } else { None });
        let tokens: Vec<_> = tokens.flatten().collect();
        let bytes = |tokens: &mut dyn Iterator<Item = &&TokenLogprob>| {
            String::from_utf8(tokens.flat_map(|token| token.bytes.clone()).collect())
                .expect("whole characters")
        };
        assert_eq!(bytes(&mut tokens.iter()), told, "{answer:?}");
        assert_eq!(bytes(&mut tokens.iter().filter(|token| token.shown)), visible, "{answer:?}");
    }
}
