//! C: bindings by wit-bindgen-c, then clang and LLVM's linker, or the ones inside Zig, then wit-component. There is no C
//! library; what a plugin needs of one is in its `support` folder.

use std::fs;
use std::path::{Path, PathBuf};

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use super::{WORLD, encode};
use crate::kit::Error;
use crate::kit::program::{Program, find};
use crate::kit::project::Project;

/// The stack comes first in memory, so that an overflow traps and does not run into the data.
const FLAGS: &[&str] = &[
    "-O2",
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-nostdlib",
    "-Isupport",
    "-Wl,--no-entry",
    "-Wl,--gc-sections",
    "-Wl,--strip-debug",
    "-Wl,--stack-first",
    "-Wl,-z,stack-size=65536",
];

pub(super) fn build(project: &Project, output: &Path) -> Result<(), Error> {
    let compiler = compiler(&project.folder)?;
    let scratch = project.scratch()?;
    bindings(&project.folder, &scratch)?;
    let module = scratch.join("module.wasm");
    compiler
        .args(FLAGS)
        .arg("-Ibuild")
        .args(sources(&project.folder)?)
        .args(["build/plugin.c", "build/plugin_component_type.o", "-o"])
        .arg(&module)
        .dir(&project.folder)
        .run()?;
    encode(&module, output)
}

/// Writes `plugin.h` and `plugin.c` for the project's own world, and an object file that describes the world.
fn bindings(folder: &Path, scratch: &Path) -> Result<(), Error> {
    let wit = folder.join("wit");
    let mut files = Files::default();
    let mut generate = || {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(&wit)?;
        let world = resolve.select_world(&[package], Some(WORLD))?;
        wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)
    };
    generate().map_err(|error| Error::Malformed { path: wit.clone(), problem: format!("{error:#}") })?;
    for (name, content) in files.iter() {
        let path = scratch.join(name);
        fs::write(&path, content).map_err(Error::file("writing", &path))?;
    }
    Ok(())
}

/// The C files of the project, from its folder.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut sources = Vec::new();
    for part in ["", "support"] {
        let part = Path::new(part);
        let listed = folder.join(part);
        let entries = fs::read_dir(&listed).map_err(Error::file("listing", &listed))?;
        let names = entries.flatten().map(|entry| part.join(entry.file_name()));
        sources.extend(names.filter(|path| path.extension().is_some_and(|extension| extension == "c")));
    }
    sources.sort();
    Ok(sources)
}

/// A clang that knows WebAssembly and has its linker, or Zig, which has both inside.
fn compiler(folder: &Path) -> Result<Program, Error> {
    let has_target = |targets: String| targets.contains("wasm32");
    if find("wasm-ld").is_some() && Program::new("clang").arg("--print-targets").ask().is_some_and(has_target)
    {
        return Ok(Program::new("clang").arg("--target=wasm32-unknown-unknown"));
    }
    let zig = |program: Program| program.arg("cc").arg("--target=wasm32-freestanding");
    if find("zig").is_some() {
        return Ok(zig(Program::new("zig")));
    }
    let own = folder.join(".venv/bin/python");
    let python = if own.is_file() { own } else { "python3".into() };
    let module = || Program::new(&python).args(["-m", "ziglang"]);
    if module().arg("version").ask().is_some() {
        return Ok(zig(module()));
    }
    Err(Error::Missing {
        what: "a C compiler for WebAssembly",
        remedy: "install clang and lld (`apt-get install clang lld`, `brew install llvm lld`), or Zig, which has both: \
                 `python3 -m venv .venv && .venv/bin/pip install ziglang` here"
            .into(),
    })
}
