//! What keeps the server from starting: one clear message each, and a non-zero exit.

use std::net::TcpListener;
use std::path::Path;
use std::{env, fs};

use mlx_gate_tests::{Folder, Server, built_guest, component, guest, question_body, run};
use serde_json::{Value, json};

/// Fails unless the server refuses to start with these flags, and says all of these texts.
fn refuses(flags: &[&str], texts: &[&str]) {
    match Server::try_start(flags, &[]) {
        Ok(_) => panic!("the server started with {flags:?}"),
        Err(ended) => {
            assert!(
                matches!(ended.code, Some(1 | 2)),
                "{flags:?} ended with {:?}: {}",
                ended.code,
                ended.stderr
            );
            assert!(ended.stderr.contains("error: "), "{flags:?}: {}", ended.stderr);
            assert!(!ended.stderr.contains("panicked"), "{flags:?}: {}", ended.stderr);
            for text in texts {
                assert!(ended.stderr.contains(text), "{flags:?}: `{text}` is not in\n{}", ended.stderr);
            }
        }
    }
}

/// A copy of the demo model in which one file is changed; `None` leaves the file out.
fn model_with(file: &str, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> Folder {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/models/demo/model");
    let folder = Folder::new();
    let mut change = Some(change);
    for entry in fs::read_dir(demo).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        let bytes = if name == file { change.take().unwrap()(bytes) } else { Some(bytes) };
        if let Some(bytes) = bytes {
            folder.write(&format!("model/{name}"), bytes);
        }
    }
    assert!(change.is_none(), "the demo model has no {file}");
    folder
}

/// Changes a JSON file.
fn edited(edit: impl FnOnce(&mut Value)) -> impl FnOnce(Vec<u8>) -> Option<Vec<u8>> {
    |bytes| {
        let mut value = serde_json::from_slice(&bytes).unwrap();
        edit(&mut value);
        Some(value.to_string().into_bytes())
    }
}

#[test]
fn a_model_that_cannot_be_served_is_named() {
    let folder = Folder::new();
    refuses(&["--model", &folder.at("nothing")], &["nothing", "does not exist"]);
    refuses(&["--model", &folder.write("file.txt", "text")], &["file.txt", "not a folder"]);
    refuses(&["--model", folder.path().to_str().unwrap()], &["config.json is missing"]);
    refuses(&["--model", "some-owner/not-in-the-cache"], &["some-owner/not-in-the-cache"]);

    let cases: [(Folder, &[&str]); 8] = [
        (model_with("config.json", |_| Some(b"{\"model_type\": ".to_vec())), &["config.json"]),
        (
            model_with("config.json", edited(|config| config["model_type"] = json!("mystery"))),
            &["config.json", "`model_type`", "mystery", "llama", "mistral", "qwen2", "qwen3"],
        ),
        (
            model_with("config.json", edited(|config| config["num_hidden_layers"] = json!("many"))),
            &["config.json", "num_hidden_layers"],
        ),
        (
            model_with("model.safetensors", |bytes| Some(bytes[..bytes.len() / 2].to_vec())),
            &["model.safetensors", "download it again"],
        ),
        (model_with("model.safetensors", |_| Some(b"not weights".to_vec())), &["model.safetensors"]),
        (model_with("model.safetensors", |_| None), &["safetensors"]),
        (model_with("tokenizer.json", |_| None), &["tokenizer.json"]),
        (model_with("tokenizer.json", |_| Some(b"{}".to_vec())), &["tokenizer.json"]),
    ];
    for (folder, texts) in cases {
        refuses(&["--model", &folder.at("model")], texts);
    }
}

#[test]
fn a_model_without_a_chat_template_completes_but_does_not_chat() {
    let folder = model_with(
        "tokenizer_config.json",
        edited(|config| {
            config.as_object_mut().unwrap().remove("chat_template");
        }),
    );
    let server = Server::start(&["--model", &format!("plain={}", folder.at("model"))]);
    let client = server.client();
    let chat = client.post("/v1/chat/completions", &question_body("hello"));
    assert_eq!(chat.status, 400);
    assert!(chat.text.contains("chat template"), "{}", chat.text);
    let completion = json!({"prompt": "The capital of France is", "max_tokens": 3, "model": "plain"});
    assert_eq!(client.post("/v1/completions", &completion).status, 200);
}

#[test]
fn several_models_are_served_under_their_names() {
    let folder = model_with("generation_config.json", Some);
    let path = folder.at("model");
    let server = Server::start(&["--model", &format!("one={path}"), "--model", &format!("two={path}")]);
    let models = server.client().get("/v1/models").json();
    let ids: Vec<&str> =
        models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["one", "two"]);
    let one = format!("one={path}");
    refuses(&["--model", &one, "--model", &format!("one={path}/")], &["one"]);
}

#[test]
fn a_taken_port_is_named_before_anything_is_loaded() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let said = run(&["serve", "--port", &port, "--model", "some-owner/not-in-the-cache"], &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains(&format!("port {port} on 127.0.0.1 is taken")), "{}", said.stderr);
    assert!(said.stderr.contains("--port"), "{}", said.stderr);
}

#[test]
fn a_plugin_that_cannot_be_loaded_is_named() {
    let folder = Folder::new();
    refuses(&["--plugin", &folder.at("nothing.wasm")], &["nothing.wasm"]);
    refuses(&["--plugin", "auth_statick_keys"], &["auth_statick_keys", "auth_static_keys"]);
    refuses(&["--plugin", &folder.write("text.wasm", "not wasm")], &["text.wasm"]);
    let core_module = b"\0asm\x01\0\0\0";
    refuses(&["--plugin", &folder.write("core.wasm", core_module)], &["core.wasm", "component"]);
    let empty_component = b"\0asm\x0d\0\x01\0";
    refuses(&["--plugin", &folder.write("empty.wasm", empty_component)], &["empty.wasm", "lifecycle"]);
    let foreign = component(r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#);
    refuses(&["--plugin", &folder.write("foreign.wasm", foreign)], &["foreign.wasm", "lifecycle"]);
    // What it would need is said in the words that grant it.
    let hostile = built_guest("hostile");
    refuses(&["--plugin", &hostile], &["hostile.wasm", "grant.kv=true"]);
    refuses(&["--plugin", &format!("{hostile},grant.kv=true")], &["hostile.wasm", "grant.http="]);
}

#[test]
fn a_plugin_that_fails_while_it_is_set_up_is_named() {
    let folder = Folder::new();
    for (name, place, code, said) in [
        ("trap.wasm", "configure", "(unreachable)", "trapped"),
        ("loop.wasm", "self-test", "(loop (br 0))", "did not return within"),
        ("eat.wasm", "self-test", "(loop (drop (memory.grow (i32.const 16))) (br 0))", "bytes of memory"),
        ("sick.wasm", "self-test", "(return (i32.const 1200))", "bad day"),
    ] {
        let file = folder.write(name, guest(&[(place, code)]));
        refuses(&["--plugin", &file], &[name, place, said]);
    }
}

#[test]
fn a_plugin_with_a_wrong_configuration_says_which_option() {
    let folder = Folder::new();
    let keys = folder.write("keys.toml", "this is no key file");
    refuses(&["--plugin", "auth_static_keys"], &["auth_static_keys", "file"]);
    refuses(&["--plugin", "auth_static_keys,flie=x"], &["auth_static_keys", "flie"]);
    refuses(&["--plugin", &format!("auth_static_keys,file={}", folder.at("none.toml"))], &["none.toml"]);
    refuses(
        &["--plugin", &format!("auth_static_keys,file={keys}")],
        &["auth_static_keys", "keys.toml", "line 1"],
    );
}

#[test]
fn an_open_door_has_to_be_asked_for() {
    refuses(&["--host", "0.0.0.0"], &["0.0.0.0", "--plugin", "--api-key", "--allow-anonymous"]);
    refuses(&["--api-key", ""], &["--api-key", "empty"]);
    refuses(&["--rate-limit", "0"], &["--rate-limit", "from 1 to 1000000000"]);
    let version = run(&["--version"], &[]);
    assert!(version.stdout.starts_with("mlx-gate "), "{}", version.stdout);
}
