//! What wit-bindgen makes of `wit/0.1.0`: the imports and shared types once, and each interface a plugin may export in a
//! module with an export macro of its own, so that [`export!`](crate::export) can pick. wit-component merges the pieces.
#![expect(clippy::pedantic, reason = "generated code")]

wit_bindgen::generate!({
    inline: "
        package mlx-gate:sdk;
        world imports {
            import mlx-gate:plugin/types@0.1.0;
            import mlx-gate:plugin/host@0.1.0;
            import mlx-gate:plugin/crypto@0.1.0;
            import mlx-gate:plugin/kv@0.1.0;
            import mlx-gate:plugin/http@0.1.0;
            import mlx-gate:plugin/jwks@0.1.0;
            import mlx-gate:plugin/output@0.1.0;
        }
    ",
    path: "../wit/0.1.0",
    world: "mlx-gate:sdk/imports",
    generate_all,
    generate_unused_types: true,
    additional_derives: [PartialEq],
});

macro_rules! exported {
    ($module:ident, $inline:literal, $bindings:literal $(, $shared:literal)?) => {
        pub mod $module {
            wit_bindgen::generate!({
                inline: $inline,
                path: "../wit/0.1.0",
                with: { $($shared: crate::bindings::mlx_gate::plugin::types)? },
                generate_all,
                additional_derives: [PartialEq],
                pub_export_macro: true,
                default_bindings_module: $bindings,
            });
        }
    };
}

exported!(
    lifecycle,
    "package mlx-gate:sdk; world plugin { export mlx-gate:plugin/lifecycle@0.1.0; }",
    "mlx_gate_plugin::bindings::lifecycle"
);
exported!(
    authenticate,
    "package mlx-gate:sdk; world authenticator { export mlx-gate:plugin/authenticate@0.1.0; }",
    "mlx_gate_plugin::bindings::authenticate",
    "mlx-gate:plugin/types@0.1.0"
);
exported!(
    authorize,
    "package mlx-gate:sdk; world authorizer { export mlx-gate:plugin/authorize@0.1.0; }",
    "mlx_gate_plugin::bindings::authorize",
    "mlx-gate:plugin/types@0.1.0"
);
exported!(
    rate_limit,
    "package mlx-gate:sdk; world rate-limiter { export mlx-gate:plugin/rate-limit@0.1.0; }",
    "mlx_gate_plugin::bindings::rate_limit",
    "mlx-gate:plugin/types@0.1.0"
);
exported!(
    tagging,
    "package mlx-gate:sdk; world tagger { export mlx-gate:plugin/tagging@0.1.0; }",
    "mlx_gate_plugin::bindings::tagging",
    "mlx-gate:plugin/types@0.1.0"
);
exported!(
    logging,
    "package mlx-gate:sdk; world logger { export mlx-gate:plugin/logging@0.1.0; }",
    "mlx_gate_plugin::bindings::logging",
    "mlx-gate:plugin/types@0.1.0"
);
