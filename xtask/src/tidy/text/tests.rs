use super::*;

/// What `check` says about one file, as `place: problem`.
fn problems(file: &str, content: &str) -> Vec<String> {
    check(file, content)
        .into_iter()
        .map(|finding| format!("{}: {}", finding.place, finding.problem))
        .collect()
}

#[test]
fn an_ordinary_file_passes() {
    assert_eq!(problems("server/core/src/usage.rs", "//! Counts.\nfn f() {}\n"), Vec::<String>::new());
}

#[test]
fn length_warns_first_and_fails_later() {
    let lines = |count| "x\n".repeat(count);
    assert_eq!(check("a.rs", &lines(400)), []);
    assert!(check("a.rs", &lines(401))[0].only_warning);
    assert!(!check("a.rs", &lines(601))[0].only_warning);
    assert_eq!(check("a.json", &lines(601)), []);
    assert_eq!(check("a.rs", &format!("// @generated\n{}", lines(601))), []);
}

#[test]
fn names_must_say_something() {
    for bad in ["a/mod.rs", "a/utils.rs", "a/helpers/x.rs", "a/string_utils.rs", "a/session-manager/x.rs"] {
        assert_eq!(problems(bad, "").len(), 1, "{bad}");
    }
    for good in ["a/model.rs", "a/uncommon.rs", "plugins/auth_static_keys/src/lib.rs"] {
        assert_eq!(problems(good, ""), Vec::<String>::new(), "{good}");
    }
}

#[test]
fn unfinished_work_and_machine_paths_are_found_in_every_kind_of_file() {
    let word = UNFINISHED[0];
    assert_eq!(
        problems("docs/a.md", &format!("fine\n{word} later\n")),
        [format!("docs/a.md:2: `{word}`: finish it, or open an issue")]
    );
    let path = MACHINE_PATHS[0];
    assert_eq!(
        problems("a.py", &format!("open('{path}me/x')")),
        [format!("a.py:1: `{path}` is a folder of one machine")]
    );
}

#[test]
fn unsafe_is_lifted_in_the_listed_places_only() {
    let lift = "#[expect(unsafe_code, reason = \"needed\")]\n";
    assert_eq!(problems("server/models/src/ffi.rs", lift), Vec::<String>::new());
    assert_eq!(problems("server/api/src/lib.rs", lift).len(), 1);
    assert_eq!(problems("server/api/src/lib.rs", "// unsafe_code is denied\n"), Vec::<String>::new());
}

#[test]
fn a_test_must_run() {
    assert_eq!(problems("a.rs", "    #[ignore = \"slow\"]\n    fn t() {}\n").len(), 1);
}

#[test]
fn the_lock_file_names_one_registry() {
    let lock = |source: &str| format!("[[package]]\nname = \"a\"\nsource = \"{source}\"\n");
    assert_eq!(problems("Cargo.lock", &lock(REGISTRY)), Vec::<String>::new());
    assert_eq!(problems("Cargo.lock", &lock("registry+https://example.org/index")).len(), 1);
}
