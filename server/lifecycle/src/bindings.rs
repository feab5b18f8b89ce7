//! What wasmtime's `bindgen!` makes of each published version of the WIT package: one module per version.

pub(crate) mod v0_1 {
    wasmtime::component::bindgen!({
        inline: "
            package mlx-gate:server;
            world served {
                import mlx-gate:plugin/host@0.1.0;
                import mlx-gate:plugin/crypto@0.1.0;
                export mlx-gate:plugin/lifecycle@0.1.0;
                export mlx-gate:plugin/authenticate@0.1.0;
            }
        ",
        path: "../../wit/0.1.0",
        world: "mlx-gate:server/served",
        imports: {
            "mlx-gate:plugin/host.random": trappable,
            "mlx-gate:plugin/crypto.verify-password": async,
        },
        exports: { default: async },
    });
}
