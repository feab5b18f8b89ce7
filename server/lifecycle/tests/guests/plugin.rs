//! Builds plugins of any phases whose answers stand in their memory, and takes note of their calls: each begins with a
//! message of its name and the number of calls its instance has had.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

mod layout;

use layout::{BASE, Memory, Record};

/// What a function does once it has taken note of the call.
#[derive(Debug, Clone)]
pub(crate) enum Does<T> {
    Answers(T),
    Traps,
    /// Answers the first call of an instance, and traps after that.
    AnswersOnce(T),
    Hangs,
    /// Answers, but computes for some 200 ms first.
    Dawdles(T),
}

pub(crate) use Does::{Answers, AnswersOnce, Dawdles, Hangs, Traps};

#[derive(Debug, Clone)]
pub(crate) enum Authentication {
    Abstain,
    Allow { tenant: Option<&'static str>, cache_for_ms: Option<u64> },
    Deny,
}

#[derive(Debug, Clone)]
pub(crate) enum Authorization {
    NoOpinion,
    Allow(Bounds),
    Deny,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    pub(crate) tokens: Option<u64>,
    pub(crate) model: Option<&'static str>,
    pub(crate) models: Option<&'static [&'static str]>,
    pub(crate) adapters: Option<&'static [&'static str]>,
}

#[derive(Debug, Clone)]
pub(crate) enum Admission {
    Pass,
    Reserve { ticket: u64, headers: &'static [(&'static str, &'static str)] },
    Deny,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tags {
    pub(crate) tenant: Option<&'static str>,
    /// 0 to 2.
    pub(crate) priority: Option<u8>,
    pub(crate) weight: Option<f32>,
    pub(crate) adapter: Option<&'static str>,
    pub(crate) cache_scope: Option<&'static str>,
    pub(crate) labels: &'static [(&'static str, &'static str)],
    pub(crate) upstream_headers: &'static [(&'static str, &'static str)],
}

/// A plugin to be.
#[derive(Debug, Clone)]
pub(crate) struct Plugin {
    memory: Memory,
    info: u32,
    interfaces: Vec<&'static str>,
    functions: String,
    imports: &'static str,
    configure: &'static str,
    module: &'static str,
}

impl Plugin {
    /// One that takes part in nothing yet, calls itself this, and reads credentials from `authorization`.
    pub(crate) fn new(name: &str) -> Self {
        Self::reading(name, &[])
    }

    /// The same, which sees these headers besides.
    pub(crate) fn reading(name: &str, others: &[&str]) -> Self {
        let mut memory = Memory::default();
        let headers = memory.strings(&["authorization"]);
        let others = memory.strings(others);
        let info = Record::default()
            .bytes(&memory.string(name))
            .bytes(&memory.string("0.1.0"))
            .bytes(&memory.string("{}"))
            .bytes(&headers)
            .bytes(&others);
        let info = memory.put(&info.0);
        Self {
            memory,
            info,
            interfaces: Vec::new(),
            functions: String::new(),
            imports: "",
            configure: "",
            module: "",
        }
    }

    pub(crate) fn authenticate(mut self, does: Does<Authentication>) -> Self {
        let body = self.body("authenticate", does, |memory, answer| match answer {
            Authentication::Abstain => Record::default().u8(0).pad(8).option_string(memory, None),
            Authentication::Allow { tenant, cache_for_ms } => Record::default()
                .u8(1)
                .pad(8)
                .bytes(&memory.string("alice"))
                .option_string(memory, tenant)
                .bytes(&[0; 16])
                .pad(8)
                .bytes(&[0; 24])
                .option_u64(cache_for_ms),
            Authentication::Deny => Record::default().u8(2).pad(8).denial(memory, 401),
        });
        self.export("authenticate", "check", "(param i32) (result i32)", &body);
        self
    }

    pub(crate) fn authorize(mut self, does: Does<Authorization>) -> Self {
        let body = self.body("authorize", does, |memory, answer| match answer {
            Authorization::NoOpinion => Record::default().u8(0),
            Authorization::Allow(bounds) => Record::default()
                .u8(1)
                .pad(8)
                .option_u64(bounds.tokens)
                .option_string(memory, bounds.model)
                .option_strings(memory, bounds.models)
                .option_strings(memory, bounds.adapters),
            Authorization::Deny => Record::default().u8(2).pad(8).denial(memory, 403),
        });
        self.export("authorize", "check", "(param i32) (result i32)", &body);
        self
    }

    /// `settle` says `settled`, the ticket, 1 if it ran, and the prompt's tokens, each in one digit.
    pub(crate) fn rate_limit(mut self, does: Does<Admission>) -> Self {
        let body = self.body("admit", does, |memory, answer| match answer {
            Admission::Pass => Record::default().u8(0),
            Admission::Reserve { ticket, headers } => {
                Record::default().u8(1).pad(8).u64(ticket).bytes(&memory.pairs(headers))
            }
            Admission::Deny => Record::default().u8(2).pad(8).denial(memory, 429),
        });
        self.export("rate-limit", "admit", "(param i32) (result i32)", &body);
        let said = self.memory.text("settled 0 0 0");
        let digit = |place: u32, value: &str| {
            format!("(i32.store8 (i32.const {}) (i32.add (i32.const 48) {value}))", said + place)
        };
        let body = [
            digit(8, "(i32.wrap_i64 (i64.load offset=160 (local.get 0)))"),
            digit(10, "(i32.load8_u offset=168 (local.get 0))"),
            digit(12, "(i32.wrap_i64 (i64.load offset=176 (local.get 0)))"),
            format!("(call $log (i32.const 2) (i32.const {said}) (i32.const 13))"),
        ];
        self.export("rate-limit", "settle", "(param i32)", &body.concat());
        self
    }

    /// Lets a function run this first.
    pub(crate) fn first(mut self, function: &str, code: &str) -> Self {
        let name = format!("#{function}\") (param i32)");
        let at = self.functions.find(&name).expect("it has the function") + name.len();
        let result = " (result i32)";
        let at = at + if self.functions[at..].starts_with(result) { result.len() } else { 0 };
        self.functions.insert_str(at, code);
        self
    }

    /// Lets a function keep where the first credential is that it was handed.
    pub(crate) fn keeping_the_credential(self) -> Self {
        self.first(
            "check",
            "(i32.store (i32.const 8) (i32.load offset=8 (i32.load offset=56 (local.get 0))))
             (i32.store (i32.const 12) (i32.load offset=12 (i32.load offset=56 (local.get 0))))",
        )
    }

    /// Lets a function say the credential that another has kept.
    pub(crate) fn saying_the_credential(self, function: &str) -> Self {
        self.first(function, "(call $log (i32.const 2) (i32.load (i32.const 8)) (i32.load (i32.const 12)))")
    }

    /// Lets `admit` take one of three from a counter and a bucket first, and say how both stand. That takes the grant `kv`.
    pub(crate) fn taking(mut self) -> Self {
        self.imports = r#"
            (import "mlx-gate:plugin/kv@0.1.0" "increment"
              (func $increment (param i32 i32 i64 i32 i64 i32 i64 i32)))
            (import "mlx-gate:plugin/kv@0.1.0" "take" (func $take (param i32 i32 i64 f64 i64 i32)))"#;
        let said = self.memory.text("counted 0, left 0");
        self.first(
            "admit",
            &format!(
                "(call $increment (i32.const 1024) (i32.const 1) (i64.const 1) (i32.const 0) (i64.const 0)
                   (i32.const 1) (i64.const 60000) (i32.const 32))
                 (i32.store8 (i32.const {}) (i32.add (i32.const 48) (i32.load (i32.const 40))))
                 (call $take (i32.const 1024) (i32.const 1) (i64.const 3) (f64.const 1e-6) (i64.const 1) (i32.const 32))
                 (i32.store8 (i32.const {}) (i32.add (i32.const 48) (i32.load (i32.const 48))))
                 (call $log (i32.const 2) (i32.const {said}) (i32.const 17))",
                said + 8,
                said + 16
            ),
        )
    }

    /// Whether it takes the grant `kv`.
    pub(crate) fn wants_kv(&self) -> bool {
        !self.imports.is_empty()
    }

    /// Lets a function delete a key first. That takes the grant `kv`.
    pub(crate) fn deleting(mut self, function: &str) -> Self {
        self.imports = r#"(import "mlx-gate:plugin/kv@0.1.0" "delete" (func $delete (param i32 i32 i32)))"#;
        self.first(function, "(call $delete (i32.const 1024) (i32.const 1) (i32.const 32))")
    }

    pub(crate) fn tag(mut self, does: Does<Tags>) -> Self {
        let body = self.body("tag", does, |memory, tags| {
            let record = Record::default().option_string(memory, tags.tenant);
            let record = match tags.priority {
                Some(priority) => record.u8(1).u8(priority),
                None => record.u8(0).u8(0),
            };
            let record = match tags.weight {
                Some(weight) => record.pad(4).u8(1).pad(4).bytes(&weight.to_le_bytes()),
                None => record.pad(4).u8(0).pad(4).bytes(&[0; 4]),
            };
            let record = record.option_string(memory, tags.adapter).option_string(memory, tags.cache_scope);
            record.bytes(&memory.pairs(tags.labels)).bytes(&memory.pairs(tags.upstream_headers))
        });
        self.export("tagging", "tag", "(param i32) (result i32)", &body);
        self
    }

    /// `log` says how many events there are, and of the first one its id, subject, API, tenant and outcome.
    pub(crate) fn log(mut self, does: &Does<()>) -> Self {
        let said = self.memory.text("events 000");
        let mut body = String::new();
        for (place, divisor) in [(7, 100), (8, 10), (9, 1)] {
            let _ = write!(
                body,
                "(i32.store8 (i32.const {}) (i32.add (i32.const 48)
                   (i32.rem_u (i32.div_u (local.get 1) (i32.const {divisor})) (i32.const 10))))",
                said + place
            );
        }
        let _ = write!(body, "(call $log (i32.const 2) (i32.const {said}) (i32.const 10))");
        for offset in [0, 56, 128, 224, 324] {
            let _ = write!(
                body,
                "(call $log (i32.const 2) (i32.load offset={offset} (local.get 0))
                   (i32.load offset={} (local.get 0)))",
                offset + 4
            );
        }
        match does {
            Answers(()) | AnswersOnce(()) => {}
            Dawdles(()) => body.push_str("(call $dawdle)"),
            Traps => body.push_str("(unreachable)"),
            Hangs => body.push_str("(loop (br 0))"),
        }
        self.export("logging", "log", "(param i32 i32)", &body);
        self
    }

    /// Runs this in `configure`, with this beside the functions.
    pub(crate) fn configure(mut self, code: &'static str, module: &'static str) -> Self {
        (self.configure, self.module) = (code, module);
        self
    }

    /// A function that takes note of its call and returns an answer.
    fn body<T>(
        &mut self,
        name: &str,
        does: Does<T>,
        encode: impl FnOnce(&mut Memory, T) -> Record,
    ) -> String {
        let said = self.memory.text(&format!("{name} 0"));
        let note = format!("(call $note (i32.const {said}) (i32.const {}))", name.len() + 2);
        let answer = |answer| {
            let record = encode(&mut self.memory, answer);
            format!("(i32.const {})", self.memory.put(&record.0))
        };
        note + &match does {
            Answers(given) => answer(given),
            AnswersOnce(given) => {
                let again = "(i32.gt_u (i32.load (i32.const 0)) (i32.const 1))";
                format!("(if {again} (then (unreachable))) {}", answer(given))
            }
            Dawdles(given) => format!("(call $dawdle) {}", answer(given)),
            Traps => "(unreachable)".to_owned(),
            Hangs => "(loop (br 0)) (unreachable)".to_owned(),
        }
    }

    fn export(&mut self, interface: &'static str, function: &str, ty: &str, body: &str) {
        if !self.interfaces.contains(&interface) {
            self.interfaces.push(interface);
        }
        let _ = writeln!(
            self.functions,
            r#"(func (export "mlx-gate:plugin/{interface}@0.1.0#{function}") {ty} {body})"#
        );
    }

    /// The component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let ok = Record::default().bytes(&[0; 12]);
        let mut memory = self.memory.clone();
        let ok = memory.put(&ok.0);
        let data: String = memory.bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "\\{byte:02x}");
            text
        });
        let Self { info, functions, imports, configure, module, .. } = self;
        let text = format!(
            r#"(module
              (import "mlx-gate:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32)))
              (import "mlx-gate:plugin/host@0.1.0" "now-ms" (func $now (result i64)))
              {imports}
              (memory (export "memory") 4)
              (global $heap (mut i32) (i32.const 65536))
              {module}
              (data (i32.const {BASE}) "{data}")
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.set $heap (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
              ;; Counts the call, puts the count at the end of the message, and says it.
              (func $note (param $at i32) (param $length i32)
                (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
                (i32.store8 (i32.sub (i32.add (local.get $at) (local.get $length)) (i32.const 1))
                  (i32.add (i32.const 48) (i32.load (i32.const 0))))
                (call $log (i32.const 2) (local.get $at) (local.get $length)))
              (func $dawdle (local $until i64)
                (local.set $until (i64.add (call $now) (i64.const 200)))
                (loop (br_if 0 (i64.lt_u (call $now) (local.get $until)))))
              (func (export "mlx-gate:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const {info}))
              (func (export "mlx-gate:plugin/lifecycle@0.1.0#configure") (param i32 i32 i32 i32) (result i32)
                {configure} (i32.const {ok}))
              (func (export "mlx-gate:plugin/lifecycle@0.1.0#self-test") (result i32) (i32.const {ok}))
              {functions})"#
        );
        let mut module = wat::parse_str(text).expect("a test's guest is valid text");
        let mut resolve = Resolve::default();
        let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/0.1.0");
        resolve.push_path(wit).expect("the WIT package parses");
        let exports: Vec<_> =
            self.interfaces.iter().map(|name| format!("export mlx-gate:plugin/{name}@0.1.0;")).collect();
        let exports = exports.join(" ");
        let world =
            format!("package test:guest; world guest {{ include mlx-gate:plugin/plugin@0.1.0; {exports} }}");
        let package = resolve.push_str("guest.wit", &world).expect("the world parses");
        let world = resolve.select_world(&[package], Some("guest")).expect("the world exists");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .expect("a module with its type");
        let mut encoder = ComponentEncoder::default();
        encoder.module(&module).expect("a module of this world").encode().expect("a component")
    }
}
