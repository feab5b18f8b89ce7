use wasmparser::{Parser, Payload};

/// Whether a component imports anything of WASI. What cannot be parsed is left to the compiler, which says why.
pub(super) fn wasi(bytes: &[u8]) -> bool {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        match payload {
            // Parts of the component have sections of their own.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                let mut imports = imports.into_iter().map_while(Result::ok);
                if imports.any(|import| import.name.name.starts_with("wasi:")) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::wasi;

    #[test]
    fn only_imports_of_the_component_itself_count() {
        for (text, expected) in [
            ("(component)", false),
            (r#"(component (import "mlx-gate:plugin/host@0.1.0" (instance)))"#, false),
            (r#"(component (core module (import "wasi:cli/environment@0.2.0" "x" (func))))"#, false),
            (r#"(component (component (import "wasi:cli/environment@0.2.0" (instance))))"#, false),
            (r#"(component (core module) (import "wasi:cli/environment@0.2.0" (instance)))"#, true),
        ] {
            assert_eq!(wasi(&wat::parse_str(text).unwrap()), expected, "{text}");
        }
        assert!(!wasi(b"no component"));
    }
}
