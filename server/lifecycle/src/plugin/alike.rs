//! Makes a component's two compilations alike, so that the second one finds the machine code of the first.
//!
//! A plugin is compiled instrumented, to be configured, and again with the state that leaves. Instrumentation exports every
//! mutable global, and Cranelift treats an exported global otherwise than one of the module's own: half of all functions
//! would come out different. With the globals exported to begin with both are the same.

use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{ComponentSectionId, ExportKind, ExportSection, RawSection};
use wasmparser::{Parser, Payload, TypeRef};

/// The component with every mutable global of its modules exported by them, where nothing looks. `None` where it cannot
/// be read; who compiles it will say why.
pub(super) fn with_globals_exported(component: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = wasm_encoder::Component::new();
    // Modules and components inside are gone over as a whole.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.ok()?;
        let nested = matches!(payload, Payload::ModuleSection { .. } | Payload::ComponentSection { .. });
        if depth == 0
            && let Some((id, range)) = payload.as_section()
        {
            let data = component.get(range)?;
            if id == ComponentSectionId::CoreModule as u8 {
                encoder.section(&RawSection { id, data: &module_with_globals_exported(data)? });
            } else {
                encoder.section(&RawSection { id, data });
            }
        }
        match payload {
            _ if nested => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Some(encoder.finish())
}

fn module_with_globals_exported(module: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = wasm_encoder::Module::new();
    let mut globals = 0;
    let mut mutable = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.ok()?;
        match &payload {
            Payload::ImportSection(imports) => {
                let imports = imports.clone().into_imports().flatten();
                globals += imports.filter(|import| matches!(import.ty, TypeRef::Global(_))).count() as u32;
            }
            Payload::GlobalSection(section) => {
                for global in section.clone() {
                    if global.ok()?.ty.mutable {
                        mutable.push(globals);
                    }
                    globals += 1;
                }
            }
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                RoundtripReencoder.parse_export_section(&mut exports, section.clone()).ok()?;
                for global in &mutable {
                    exports.export(&format!("mlx-gate:global-{global}"), ExportKind::Global, *global);
                }
                encoder.section(&exports);
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            encoder.section(&RawSection { id, data: module.get(range)? });
        }
    }
    Some(encoder.finish())
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::with_globals_exported;

    #[test]
    fn mutable_globals_become_exports_and_all_else_stays() {
        let text = r#"(component
            (core module $m
                (import "host" "base" (global i32))
                (memory (export "memory") 1)
                (global $constant i32 (i32.const 1))
                (global $stack (mut i32) (i32.const 2))
                (func (export "run") (result i32) global.get $stack)
                (data (i32.const 0) "state"))
            (component $inner (core module))
            (core module $base (global (export "base") i32 (i32.const 3)))
            (core instance $b (instantiate $base))
            (core instance $i (instantiate $m (with "host" (instance $b))))
            (func (export "run") (result s32) (canon lift (core func $i "run"))))"#;
        let before = wat::parse_str(text).unwrap();
        let after = with_globals_exported(&before).unwrap();
        Validator::new().validate_all(&after).unwrap();
        let expected = text.replace(
            "(func (export \"run\") (result i32) global.get $stack)",
            "(func (export \"run\") (result i32) global.get $stack)
             (export \"mlx-gate:global-2\" (global $stack))",
        );
        // The names that the text gives for people are not in question.
        let plain = |bytes: &[u8]| {
            wasmparser::Parser::new(0)
                .parse_all(bytes)
                .map(Result::unwrap)
                .filter(|payload| !matches!(payload, wasmparser::Payload::CustomSection(_)))
                .map(|payload| {
                    format!("{:?}", payload.as_section().map(|(id, range)| (id, bytes[range].len())))
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(plain(&after), plain(&wat::parse_str(&expected).unwrap()));
    }

    #[test]
    fn what_is_no_component_is_left_to_the_compiler() {
        assert_eq!(with_globals_exported(b"not WebAssembly"), None);
    }
}
