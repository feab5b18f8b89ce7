//! Exported functions of a component.
#![expect(
    unsafe_code,
    reason = "wasmtime compares a function's whole type each time it is looked up, a tenth of a call; here once for all instances"
)]

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Func, InstancePre, Lift, Lower, TypedFunc,
};

use crate::Failure;
use crate::call::{Instance, Pace};
use crate::host::State;

/// What a function takes and gives.
pub(super) trait Signature {
    type Arguments<'a>: ComponentNamedList + Lower + Send + Sync;
    type Answer: ComponentNamedList + Lift + Send + Sync + 'static;
}

/// Declares signatures: `Name: (arguments) -> (answer);`. The lifetime of what is borrowed is `'a`.
macro_rules! signatures {
    ($($name:ident: $arguments:ty => $answer:ty;)*) => {$(
        pub(super) struct $name;

        impl crate::guest::function::Signature for $name {
            type Arguments<'a> = $arguments;
            type Answer = $answer;
        }
    )*};
}
pub(super) use signatures;

/// A function that a component exports.
pub(super) struct Function<S> {
    /// Finds it in instances of this component, and nothing in any other's.
    index: ComponentExportIndex,
    /// Whether it was found to have the signature. A component's instances have functions of the same types.
    is_checked: AtomicBool,
    signature: PhantomData<fn() -> S>,
}

impl<S: Signature> Function<S> {
    pub(super) fn find(
        component: &InstancePre<State>,
        interface: &str,
        name: &str,
    ) -> wasmtime::Result<Self> {
        let component = component.component();
        let interface_index = component.get_export_index(None, interface);
        let index = interface_index.and_then(|within| component.get_export_index(Some(&within), name));
        let index = index.ok_or_else(|| wasmtime::format_err!("`{interface}` has no function `{name}`"))?;
        Ok(Self { index, is_checked: AtomicBool::new(false), signature: PhantomData })
    }

    pub(super) async fn call(
        &self,
        instance: &mut Instance,
        arguments: S::Arguments<'_>,
    ) -> Result<S::Answer, Failure> {
        let function = self.of(instance).map_err(|error| instance.explain(&error))?;
        self.check::<S::Arguments<'_>>(&function, instance).map_err(|error| instance.explain(&error))?;
        // SAFETY: the function has this signature. It was compared with the type of this component's function: the index
        // finds nothing in instances of others, and types do not depend on lifetimes.
        let function = unsafe { TypedFunc::<S::Arguments<'_>, S::Answer>::new_unchecked(function) };
        let answer = match instance.pace() {
            Pace::Direct => function.call(&mut instance.store, arguments),
            Pace::Yielding => function.call_async(&mut instance.store, arguments).await,
        };
        answer.map_err(|error| instance.explain(&error))
    }

    fn of(&self, instance: &mut Instance) -> wasmtime::Result<Func> {
        let function = instance.inner.get_func(&mut instance.store, self.index);
        function.ok_or_else(|| wasmtime::format_err!("an instance of another component"))
    }

    fn check<Arguments: ComponentNamedList + Lower>(
        &self,
        function: &Func,
        instance: &Instance,
    ) -> wasmtime::Result<()> {
        if !self.is_checked.load(Relaxed) {
            function.typed::<Arguments, S::Answer>(&instance.store)?;
            self.is_checked.store(true, Relaxed);
        }
        Ok(())
    }
}
