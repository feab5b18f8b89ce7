;; The frame of every guest in these tests: a small authenticator without an allocator worth the name. A test replaces the
;; lines that begin with `;;@`. A request whose path begins with `/x` runs the hostile part; every other one is allowed.
(module
  ;;@import

  (memory (export "memory") 4)
  (global $heap (mut i32) (i32.const 65536))

  (data (i32.const 1024) "guest")
  (data (i32.const 1040) "0.1.0")
  (data (i32.const 1056) "{}")
  (data (i32.const 1072) "authorization")
  ;; list<string> of one
  (data (i32.const 1104) "\30\04\00\00\0d\00\00\00")
  ;; info: name, version, config-schema, credential-headers, headers
  (data (i32.const 1120)
    "\00\04\00\00\05\00\00\00" "\10\04\00\00\05\00\00\00" "\20\04\00\00\02\00\00\00"
    "\50\04\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
  ;; result<_, string>: ok at 1184, err("bad day") at 1200
  (data (i32.const 1184) "\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 1200) "\01\00\00\00\c0\04\00\00\07\00\00\00")
  (data (i32.const 1216) "bad day")
  ;; verdict: allow(principal "guest") at 1280
  (data (i32.const 1280) "\01\00\00\00\00\00\00\00" "\00\04\00\00\05\00\00\00")
  ;; verdict: deny(401, "no", ...) at 1536, for the hostile part to complete
  (data (i32.const 1536) "\02\00\00\00\00\00\00\00" "\91\01\00\00\40\06\00\00\02\00\00\00")
  (data (i32.const 1600) "no")

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get 3)))
    (local.get $at))

  ;; Recurses for ever, and not as a tail call.
  (func $deeper (param i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))

  (func (export "mlx-gate:plugin/lifecycle@0.1.0#describe") (result i32)
    ;;@describe
    (i32.const 1120))

  (func (export "mlx-gate:plugin/lifecycle@0.1.0#configure") (param i32 i32 i32 i32) (result i32)
    ;;@configure
    (i32.const 1184))

  (func (export "mlx-gate:plugin/lifecycle@0.1.0#self-test") (result i32)
    ;;@self-test
    (i32.const 1184))

  ;; The head comes as a pointer; its path is the third of its strings.
  (func (export "mlx-gate:plugin/authenticate@0.1.0#check") (param $head i32) (result i32)
    (local $i i32)
    (if (i32.ne (i32.load8_u offset=1 (i32.load offset=16 (local.get $head))) (i32.const 0x78))
      (then (return (i32.const 1280))))
    ;;@check
    (i32.const 1280))

  ;;@export
)
