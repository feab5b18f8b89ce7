use std::path::PathBuf;

use super::{Location, ModelRef};
use crate::Error;

fn parsed(value: &str) -> (Option<String>, Location) {
    let model = ModelRef::parse(value).expect(value);
    (model.alias, model.location)
}

fn hub(id: &str, revision: Option<&str>) -> Location {
    Location::Hub { id: id.into(), revision: revision.map(Into::into) }
}

fn folder(path: &str) -> Location {
    Location::Folder(PathBuf::from(path))
}

#[test]
fn model_values_are_read() {
    let cases = [
        ("mlx-community/Qwen3-0.6B-4bit", None, hub("mlx-community/Qwen3-0.6B-4bit", None)),
        ("small=mlx-community/Qwen3-0.6B-4bit", Some("small"), hub("mlx-community/Qwen3-0.6B-4bit", None)),
        ("owner/name@v1.0", None, hub("owner/name", Some("v1.0"))),
        ("owner/name@refs/pr/1", None, hub("owner/name", Some("refs/pr/1"))),
        ("./owner/name", None, folder("./owner/name")),
        ("/models/llama", None, folder("/models/llama")),
        ("a=/models/llama", Some("a"), folder("/models/llama")),
        ("./runs/lr=3", None, folder("./runs/lr=3")),
        ("a/b/c", None, folder("a/b/c")),
        ("llama", None, folder("llama")),
    ];
    for (value, alias, location) in cases {
        assert_eq!(parsed(value), (alias.map(str::to_owned), location), "{value}");
    }
}

#[test]
fn a_path_that_exists_is_a_path_whatever_its_shape() {
    assert_eq!(parsed("src/source").1, folder("src/source"));
}

#[test]
fn values_that_name_nothing_are_refused() {
    for value in ["", "=", "alias=", "=owner/name"] {
        assert!(matches!(ModelRef::parse(value), Err(Error::Argument { .. })), "{value}");
    }
}

#[test]
fn the_demo_model_is_complete() {
    let source = ModelRef::demo().fetch().expect("the demo model is inside the binary");
    assert!(source.is_demo());
    assert_eq!(source.name(), "mlx-gate-demo");
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        assert!(source.read(file).expect(file).is_some(), "{file}");
    }
    assert!(source.read("chat_template.jinja").expect("no such file is no error").is_none());
}
