"""Every field that the official clients can send, by their own types: python request_fields.py BASE_URL KEY

A field that is `null` counts as absent where a reader knows its name, whether it is supported or refused with advice, and is
refused as unknown otherwise. So a field that a new client brings fails here, by its name, until somebody has looked at it; and
so does one that docs/api.md does not mention. The server has a model `demo`, and one that makes embeddings.
"""

import copy
import json
import pathlib
import re
import sys
import typing
import urllib.error
import urllib.request

import anthropic.types as anthropic_types
import openai.types.chat as chat_types
import openai.types.responses as response_types
import openai.types.shared_params as shared_types
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params, response_input_param

# What Anthropic's client takes as fields and sends as headers.
HEADERS = {"betas", "user_profile_id", "workspace_id"}

# Fields of vLLM's `ChatCompletionRequest`, `CompletionRequest` and `EmbeddingCompletionRequest` that OpenAI's have not. It has no
# client of its own whose types could be read.
VLLM = """
    add_special_tokens allowed_token_ids bad_words cache_salt guided_choice guided_decoding_backend guided_grammar guided_json
    guided_regex guided_whitespace_pattern ignore_eos include_stop_str_in_output kv_transfer_params length_penalty
    logits_processors min_p min_tokens priority prompt_logprobs repetition_penalty request_id return_token_ids
    return_tokens_as_token_ids skip_special_tokens spaces_between_special_tokens stop_token_ids structured_outputs top_k
    truncate_prompt_tokens use_beam_search vllm_xargs
""".split()
VLLM_CHAT = """
    add_generation_prompt chat_template chat_template_kwargs continue_final_message documents echo include_reasoning
    media_io_kwargs mm_processor_kwargs thinking_token_budget
""".split()
VLLM_EMBEDDING = "add_special_tokens normalize priority request_id truncate_prompt_tokens".split()

SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 3}}}
FUNCTION = {"name": "get_weather", "parameters": SCHEMA}

CHAT = {
    "model": "demo",
    "max_tokens": 1,
    "stream": True,
    "stream_options": {},
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is the weather in Paris?"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA}},
}
COMPLETION = {"model": "demo", "max_tokens": 1, "prompt": "a"}
EMBEDDING = {"model": "bert_mean", "input": "a"}
RESPONSE = {
    "model": "demo",
    "max_output_tokens": 1,
    "stream": True,
    "stream_options": {},
    "reasoning": {},
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is the weather in Paris?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "sunny"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "sunny", "annotations": []}],
        },
        {"role": "user", "content": "And now?"},
    ],
    "tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA}],
    "tool_choice": {"type": "function", "name": "get_weather"},
    "text": {"format": {"type": "json_schema", "name": "weather", "schema": SCHEMA}},
}
MESSAGE = {
    "model": "demo",
    "max_tokens": 1025,
    "stop_sequences": ["a", "e", "i", "o", "u", "1", "t", "s"],
    "system": [{"type": "text", "text": "Be brief."}],
    "metadata": {},
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "What is the weather in Paris?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": ""},
                {"type": "redacted_thinking", "data": ""},
                {"type": "tool_use", "id": "1", "name": "get_weather", "input": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "sunny"}]},
    ],
    "tools": [{"type": "custom", "name": "get_weather", "input_schema": SCHEMA}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {},
}
COUNT = {key: value for key, value in MESSAGE.items() if key not in ("max_tokens", "stop_sequences", "metadata")}

# A route, a request to it, where in the request, and which types may stand there.
CASES = [
    ("/chat/completions", CHAT, (), [chat_create_params.CompletionCreateParamsBase]),
    ("/chat/completions", CHAT, ("stream_options",), [chat_types.ChatCompletionStreamOptionsParam]),
    ("/chat/completions", CHAT, ("messages", 0), [chat_types.ChatCompletionSystemMessageParam]),
    ("/chat/completions", CHAT, ("messages", 1), [chat_types.ChatCompletionDeveloperMessageParam]),
    ("/chat/completions", CHAT, ("messages", 2), [chat_types.ChatCompletionUserMessageParam]),
    ("/chat/completions", CHAT, ("messages", 2, "content", 0), [chat_types.ChatCompletionContentPartTextParam]),
    ("/chat/completions", CHAT, ("messages", 3), [chat_types.ChatCompletionAssistantMessageParam]),
    ("/chat/completions", CHAT, ("messages", 3, "tool_calls", 0), [chat_types.ChatCompletionMessageFunctionToolCallParam]),
    ("/chat/completions", CHAT, ("messages", 4), [chat_types.ChatCompletionToolMessageParam]),
    ("/chat/completions", CHAT, ("tools", 0), [chat_types.ChatCompletionFunctionToolParam]),
    ("/chat/completions", CHAT, ("tools", 0, "function"), [shared_types.FunctionDefinition]),
    ("/chat/completions", CHAT, ("tool_choice",), [chat_types.ChatCompletionNamedToolChoiceParam]),
    ("/chat/completions", CHAT, ("response_format",), [shared_types.ResponseFormatJSONSchema]),
    ("/completions", COMPLETION, (), [completion_create_params.CompletionCreateParamsBase]),
    ("/embeddings", EMBEDDING, (), [embedding_create_params.EmbeddingCreateParams]),
    ("/responses", RESPONSE, (), [response_create_params.ResponseCreateParamsBase]),
    ("/responses", RESPONSE, ("stream_options",), [response_create_params.StreamOptions]),
    ("/responses", RESPONSE, ("reasoning",), [shared_types.Reasoning]),
    ("/responses", RESPONSE, ("input", 0), [response_input_param.Message]),
    ("/responses", RESPONSE, ("input", 0, "content", 0), [response_types.ResponseInputTextParam]),
    ("/responses", RESPONSE, ("input", 1), [response_types.ResponseReasoningItemParam]),
    ("/responses", RESPONSE, ("input", 2), [response_types.ResponseFunctionToolCallParam]),
    ("/responses", RESPONSE, ("input", 3), [response_input_param.FunctionCallOutput]),
    ("/responses", RESPONSE, ("input", 4), [response_types.ResponseOutputMessageParam]),
    ("/responses", RESPONSE, ("input", 4, "content", 0), [response_types.ResponseOutputTextParam]),
    ("/responses", RESPONSE, ("input", 5), [response_types.EasyInputMessageParam]),
    ("/responses", RESPONSE, ("tools", 0), [response_types.FunctionToolParam]),
    ("/responses", RESPONSE, ("tool_choice",), [response_types.ToolChoiceFunctionParam]),
    ("/responses", RESPONSE, ("text",), [response_types.ResponseTextConfigParam]),
    ("/responses", RESPONSE, ("text", "format"), [response_types.ResponseFormatTextJSONSchemaConfigParam]),
    (
        "/messages",
        MESSAGE,
        (),
        [message_create_params.MessageCreateParamsBase, beta_message_create_params.MessageCreateParamsBase],
    ),
    ("/messages", MESSAGE, ("system", 0), [anthropic_types.TextBlockParam]),
    ("/messages", MESSAGE, ("messages", 0), [anthropic_types.UserMessageParam]),
    ("/messages", MESSAGE, ("messages", 0, "content", 0), [anthropic_types.TextBlockParam]),
    ("/messages", MESSAGE, ("messages", 1), [anthropic_types.AssistantMessageParam]),
    ("/messages", MESSAGE, ("messages", 1, "content", 0), [anthropic_types.ThinkingBlockParam]),
    ("/messages", MESSAGE, ("messages", 1, "content", 1), [anthropic_types.RedactedThinkingBlockParam]),
    ("/messages", MESSAGE, ("messages", 1, "content", 2), [anthropic_types.ToolUseBlockParam]),
    ("/messages", MESSAGE, ("messages", 2, "content", 0), [anthropic_types.ToolResultBlockParam]),
    ("/messages", MESSAGE, ("tools", 0), [anthropic_types.ToolParam]),
    ("/messages", MESSAGE, ("tool_choice",), [anthropic_types.ToolChoiceAutoParam]),
    ("/messages", MESSAGE, ("thinking",), [anthropic_types.ThinkingConfigEnabledParam]),
    ("/messages", MESSAGE, ("output_config",), [anthropic_types.OutputConfigParam]),
    ("/messages", MESSAGE, ("metadata",), [anthropic_types.MetadataParam]),
    ("/messages/count_tokens", COUNT, (), [message_count_tokens_params.MessageCountTokensParams]),
]


def complaint(base_url, key, route, body):
    """The field that the server refuses, and its words; `None` where it answers."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    request = urllib.request.Request(base_url + route, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
        return None
    except urllib.error.HTTPError as error:
        said = json.loads(error.read())["error"]
        assert error.code == 400, (route, error.code, said)
        return said.get("param") or said.get("details", {}).get("param"), said["message"]


def unknown(base_url, key, route, request, place, fields):
    """Those of the fields that no reader knows, with where they stand."""
    found, fields = [], set(fields)
    while True:
        body = copy.deepcopy(request)
        target = body
        for step in place:
            target = target[step]
        target |= {field: None for field in sorted(fields - set(target))}
        refused = complaint(base_url, key, route, body)
        if refused is None:
            return found
        name = (refused[0] or "").rsplit(".", 1)[-1]
        assert name in fields, (route, place, refused)
        found.append(f"{route}: {refused[0]}: {refused[1]}")
        fields.remove(name)


def main():
    base_url, key = sys.argv[1:]
    document = pathlib.Path(__file__).parents[2].joinpath("docs/api.md").read_text()
    failures = []
    for route, request, place, kinds in CASES:
        fields = {field for kind in kinds for field in typing.get_type_hints(kind)} - HEADERS
        if not place:
            fields |= {"/chat/completions": {*VLLM, *VLLM_CHAT}, "/completions": {*VLLM}, "/embeddings": {*VLLM_EMBEDDING}}.get(
                route, set()
            )
            told = set(re.findall(r"`([a-z_]+)[`.:]", document))
            failures += [f"{route}: docs/api.md does not mention `{field}`" for field in sorted(fields - told)]
        failures += unknown(base_url, key, route, request, place, fields)
    assert not failures, "\n".join(failures)
    print("every field of the clients is known here")


main()
