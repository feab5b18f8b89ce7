//! `POST /v1/score`, as vLLM has it.

mod schema;

use axum::body::Body;
use mlx_gate_core::{EncodeInput, EncodeRequest, EncodeTask};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::fields::{self, Fields};
use super::{options, wire};
use crate::encoding::{self, Asked, MOST_INPUTS};
use crate::error::Error;
use crate::openapi::Description;
use crate::permission::Permitted;
use crate::routes::Call;

/// The names under which vLLM takes the two sides of the pairs.
const SIDES: [[&str; 2]; 4] =
    [["text_1", "text_2"], ["queries", "documents"], ["queries", "items"], ["data_1", "data_2"]];

#[derive(Serialize, JsonSchema)]
struct Scores {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    data: Vec<Datum>,
    usage: wire::InputUsage,
}

#[derive(Serialize, JsonSchema)]
struct Datum {
    index: usize,
    object: &'static str,
    score: f32,
}

/// What `/openapi.json` says of the route.
pub(crate) fn describe() -> Description {
    Description::new("How well texts answer others")
        .takes::<schema::Request>("ScoreRequest")
        .answers::<Scores>("Scores")
}

/// How well texts answer others.
pub(crate) async fn create(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let asked = read(value, call.id.clone())?;
    let (permit, read) = encoding::encode(&call, asked).await?;
    let score = |(index, vector): (usize, Vec<f32>)| Datum {
        index,
        object: "score",
        score: vector.first().copied().unwrap_or_default(),
    };
    Ok(permit.answer(wire::json(&Scores {
        id: format!("score-{:032x}", rand::random::<u128>()),
        object: "list",
        created: wire::now(),
        model: read.model,
        data: read.vectors.into_iter().enumerate().map(score).collect(),
        usage: wire::InputUsage::new(read.tokens),
    })?))
}

fn read(value: Value, id: String) -> Result<Asked, Error> {
    let mut fields = Fields::root(value)?;
    let model = options::model(&mut fields)?;
    let named = SIDES.into_iter().find(|[first, second]| fields.has(first) && fields.has(second));
    let [first, second] = named.unwrap_or(SIDES[0]);
    let (firsts, _) = side(&mut fields, first)?;
    let (seconds, listed) = side(&mut fields, second)?;
    let inputs = pairs(&firsts, seconds, first, second)?;
    let truncate = options::truncate(&mut fields)?;
    let end_user = options::end_user(&mut fields)?;
    fields.finish()?;
    let request = EncodeRequest { id, model, task: EncodeTask::Score, inputs, truncate };
    Ok(Asked { request, end_user, field: second, listed })
}

/// One side of the pairs: a string or several; and whether it is several.
fn side(fields: &mut Fields, name: &'static str) -> Result<(Vec<String>, bool), Error> {
    let path = fields.path(name);
    let value = fields.take(name);
    match fields.required(name, value)? {
        Value::String(text) => Ok((vec![text], false)),
        Value::Array(values) if (1..=MOST_INPUTS).contains(&values.len()) => {
            let text = |(index, value)| match value {
                Value::String(text) => Ok(text),
                other => Err(fields::invalid_type(&format!("{path}[{index}]"), "a string", &other)),
            };
            Ok((values.into_iter().enumerate().map(text).collect::<Result<_, _>>()?, true))
        }
        Value::Array(values) => {
            let found = values.len();
            Err(fields::invalid(path, format_args!("expected 1 to {MOST_INPUTS} texts, but got {found}")))
        }
        other => Err(fields::invalid_type(&path, "a string or an array of strings", &other)),
    }
}

/// Each with each, or the first with all.
fn pairs(
    firsts: &[String],
    seconds: Vec<String>,
    first: &str,
    second: &str,
) -> Result<Vec<EncodeInput>, Error> {
    if firsts.len() != 1 && firsts.len() != seconds.len() {
        let (found, expected) = (seconds.len(), firsts.len());
        let problem =
            format!("'{first}' has {expected} texts, so as many are expected here, but there are {found}");
        return Err(fields::invalid(second.to_owned(), problem));
    }
    let firsts = firsts.iter().cycle();
    Ok(firsts.zip(seconds).map(|(first, second)| EncodeInput::Pair(first.clone(), second)).collect())
}
