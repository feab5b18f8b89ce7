//! What [`super`] takes in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use schemars::JsonSchema;

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Request {
    /// A served name. Left out, it is the first model.
    #[schemars(length(max = 512))]
    model: Option<String>,
    input: Input,
    encoding_format: Option<Format>,
    /// Where the model was trained to have its embeddings cut.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    dimensions: Option<u32>,
    /// Longer texts are cut to so many tokens; -1 is what the model can read.
    #[schemars(range(min = -1, max = 4_294_967_295_u32), extend("not" = { "const": 0 }))]
    truncate_prompt_tokens: Option<i64>,
    /// Whom the client asks for.
    #[schemars(length(max = 256))]
    user: Option<String>,
    #[schemars(length(max = 256))]
    safety_identifier: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Input {
    Text(Text),
    Tokens(#[schemars(length(min = 1))] Vec<u32>),
    Several(#[schemars(length(min = 1, max = 2048))] Vec<One>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum One {
    Text(Text),
    Tokens(#[schemars(length(min = 1))] Vec<u32>),
}

#[derive(JsonSchema)]
struct Text(#[schemars(length(min = 1))] String);

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Format {
    Float,
    /// Of the numbers as f32, least significant byte first.
    Base64,
}
