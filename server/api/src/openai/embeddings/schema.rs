//! What [`super`] takes in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use schemars::JsonSchema;

use crate::openai::schema::OfTexts;

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Request {
    input: Input,
    encoding_format: Option<Format>,
    /// Where the model was trained to have its embeddings cut.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    dimensions: Option<u32>,
    #[schemars(flatten)]
    shared: OfTexts,
    #[schemars(extend("enum" = [true, null]))]
    add_special_tokens: Option<bool>,
    #[schemars(extend("enum" = [0, null]))]
    priority: Option<i64>,
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
