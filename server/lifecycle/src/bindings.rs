//! What wasmtime's `bindgen!` makes of each published version of the WIT package: one module per version.

pub(crate) mod v0_1 {
    // What plugins are handed borrows, so that a call copies a string once, into the plugin's memory. Types that go both
    // ways therefore come in two: `PrincipalParam<'a>` and `PrincipalResult`.
    wasmtime::component::bindgen!({
        inline: "
            package mlx-gate:server;
            world served {
                import mlx-gate:plugin/host@0.1.0;
                import mlx-gate:plugin/crypto@0.1.0;
                import mlx-gate:plugin/kv@0.1.0;
                import mlx-gate:plugin/http@0.1.0;
                import mlx-gate:plugin/jwks@0.1.0;
                import mlx-gate:plugin/output@0.1.0;
                export mlx-gate:plugin/lifecycle@0.1.0;
                export mlx-gate:plugin/authenticate@0.1.0;
                export mlx-gate:plugin/authorize@0.1.0;
                export mlx-gate:plugin/rate-limit@0.1.0;
                export mlx-gate:plugin/tagging@0.1.0;
                export mlx-gate:plugin/logging@0.1.0;
            }
        ",
        path: "../../wit/0.1.0",
        world: "mlx-gate:server/served",
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: {
            "mlx-gate:plugin/host.random": trappable,
            "mlx-gate:plugin/crypto.verify-password": async | trappable,
            "mlx-gate:plugin/kv": async | trappable,
            "mlx-gate:plugin/http": async | trappable,
            "mlx-gate:plugin/jwks": async | trappable,
            "mlx-gate:plugin/output": async | trappable,
        },
        exports: { default: async },
    });
}
