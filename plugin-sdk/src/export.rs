/// Makes a component of a [`Plugin`](crate::Plugin) that takes part in the phases listed, and in no others:
///
/// ```
/// # use mlx_gate_plugin::authorize::{Authorize, Verdict};
/// # use mlx_gate_plugin::logging::Logging;
/// # use mlx_gate_plugin::{Completed, Constraints, Description, Operation, Plugin, Principal, Rejected, host};
/// # #[derive(serde::Deserialize)]
/// # struct Config {}
/// struct NoTools;
/// # impl Plugin for NoTools {
/// #     type Config = Config;
/// #     fn describe() -> Description {
/// #         Description { name: "no_tools", version: "0.1.0", config_schema: "{}", credential_headers: &[], headers: &[] }
/// #     }
/// #     fn configure(_: Config) -> Result<Self, Rejected> { Ok(Self) }
/// # }
///
/// impl Authorize for NoTools {
///     fn authorize(&self, _who: Option<Principal>, what: Operation) -> Verdict {
///         if what.tools == 0 { Verdict::Allow(Constraints::default()) } else { Verdict::NoOpinion }
///     }
/// }
///
/// impl Logging for NoTools {
///     fn log(&self, events: Vec<Completed>) {
///         host::log(host::Level::Info, &format!("{} requests have ended", events.len()));
///     }
/// }
///
/// mlx_gate_plugin::export!(NoTools: authorize, logging);
/// ```
///
/// The phases are `authenticate`, `authorize`, `rate_limit`, `tagging` and `logging`; the type has to implement the trait of
/// each. In a native build this only checks that it does.
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($phase:ident),+ $(,)?) => {
        const _: () = {
            struct Component;

            #[allow(dead_code, reason = "read by the exports, which a native build does not have")]
            static STATE: ::std::sync::OnceLock<$plugin> = ::std::sync::OnceLock::new();

            $crate::__export_lifecycle!(Component, STATE, $plugin);
            $($crate::__export_phase!($phase, Component, STATE);)+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_lifecycle {
    ($component:ident, $state:ident, $plugin:ty) => {
        impl $crate::bindings::lifecycle::exports::mlx_gate::plugin::lifecycle::Guest for $component {
            fn describe() -> $crate::bindings::lifecycle::exports::mlx_gate::plugin::lifecycle::Info {
                $crate::runtime::describe::<$plugin>()
            }

            fn configure(
                config: ::std::string::String,
                files: ::std::vec::Vec<
                    $crate::bindings::lifecycle::exports::mlx_gate::plugin::lifecycle::HostFile,
                >,
            ) -> ::std::result::Result<(), ::std::string::String> {
                $crate::runtime::configure(&$state, config, files)
            }

            fn self_test() -> ::std::result::Result<(), ::std::string::String> {
                $crate::runtime::self_test(&$state)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::lifecycle::export!($component with_types_in $crate::bindings::lifecycle);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_phase {
    (authenticate, $component:ident, $state:ident) => {
        impl $crate::bindings::authenticate::exports::mlx_gate::plugin::authenticate::Guest for $component {
            fn check(head: $crate::RequestHead) -> $crate::authenticate::Verdict {
                $crate::authenticate::Authenticate::authenticate($crate::runtime::configured(&$state), head)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::authenticate::export!($component with_types_in $crate::bindings::authenticate);
    };
    (authorize, $component:ident, $state:ident) => {
        impl $crate::bindings::authorize::exports::mlx_gate::plugin::authorize::Guest for $component {
            fn check(
                who: ::std::option::Option<$crate::Principal>,
                what: $crate::Operation,
            ) -> $crate::authorize::Verdict {
                $crate::authorize::Authorize::authorize($crate::runtime::configured(&$state), who, what)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::authorize::export!($component with_types_in $crate::bindings::authorize);
    };
    (rate_limit, $component:ident, $state:ident) => {
        impl $crate::bindings::rate_limit::exports::mlx_gate::plugin::rate_limit::Guest for $component {
            fn admit(
                who: ::std::option::Option<$crate::Principal>,
                what: $crate::Operation,
            ) -> $crate::rate_limit::Verdict {
                $crate::rate_limit::RateLimit::admit($crate::runtime::configured(&$state), who, what)
            }

            fn settle(
                who: ::std::option::Option<$crate::Principal>,
                what: $crate::Operation,
                ticket: u64,
                ending: $crate::rate_limit::Ending,
                used: $crate::Usage,
            ) {
                let plugin = $crate::runtime::configured(&$state);
                $crate::rate_limit::RateLimit::settle(plugin, who, what, ticket, ending, used);
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::rate_limit::export!($component with_types_in $crate::bindings::rate_limit);
    };
    (tagging, $component:ident, $state:ident) => {
        impl $crate::bindings::tagging::exports::mlx_gate::plugin::tagging::Guest for $component {
            fn tag(who: ::std::option::Option<$crate::Principal>, what: $crate::Operation) -> $crate::Tags {
                $crate::tagging::Tagging::tag($crate::runtime::configured(&$state), who, what)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::tagging::export!($component with_types_in $crate::bindings::tagging);
    };
    (logging, $component:ident, $state:ident) => {
        impl $crate::bindings::logging::exports::mlx_gate::plugin::logging::Guest for $component {
            fn log(events: ::std::vec::Vec<$crate::Completed>) {
                $crate::logging::Logging::log($crate::runtime::configured(&$state), events);
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::logging::export!($component with_types_in $crate::bindings::logging);
    };
    ($unknown:ident, $component:ident, $state:ident) => {
        ::std::compile_error!(::std::concat!(
            "`", ::std::stringify!($unknown), "` is not a phase: there are authenticate, authorize, rate_limit, tagging and logging"
        ));
    };
}
