//! The reference page, `docs/configuration.md`. A test holds the page to what stands here.

use std::fmt::Write;

use super::options::{ALL, CONFIG, FOREIGN, Opt, Shape};

const HEAD: &str = "\
<!-- Written by `mlx-gate config reference`; a test compares. Change server/src/config/options.rs instead. -->

# Configuration

Every option can be a flag of `mlx-gate serve`, an environment variable, or a key of the TOML file named by `--config`.
A flag wins over a variable, a variable over the file, the file over the default; lists are replaced, not joined.
`mlx-gate config check` reports every mistake in the options at once and, where there is none, loads the plugins as `serve`
would, up to the first that cannot be loaded; `mlx-gate config show` says which value holds and where it comes from. Relative
paths start at the working directory.

| Flag and key | Variable | Default | What it does |
|---|---|---|---|
";

const LISTS: &str = "
An option that takes a list is a repeated flag, one variable with `;` between the values, or a list in the file. A
variable that is set but empty is a mistake, not a default: an empty `MLX_GATE_API_KEY` would otherwise open the server.

```toml
# mlx-gate.toml
model = [\"small=./models/qwen3-0.6b-4bit\", \"mlx-community/Llama-3.2-1B-Instruct-4bit\"]
host = \"0.0.0.0\"
max-tokens = 2048
log-format = \"json\"

[[plugin]]
source = \"auth_static_keys\"
options = { file = \"keys.toml\" }
```

## Variables of other programs

| Variable | What it does |
|---|---|
";

const OLD: &str = "
## Variables of mlx-server

These old names still work, with a warning. Where old and new name are both set, the new one wins.

| Old | New |
|---|---|
";

/// The whole page, in Markdown.
pub(crate) fn reference() -> String {
    let mut page = HEAD.to_owned();
    for option in std::iter::once(&CONFIG).chain(ALL) {
        row(&mut page, option);
    }
    page.push_str(LISTS);
    for (name, meaning) in FOREIGN {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page.push_str(OLD);
    for option in ALL {
        if let Some(old) = option.was {
            let _ = writeln!(page, "| `{old}` | `{}` |", option.variable());
        }
    }
    page
}

fn row(page: &mut String, option: &Opt) {
    let value = option.value.replace('|', "\\|");
    let flag = match option.shape {
        Shape::Switch => format!("`--{}`", option.name),
        Shape::Many => format!("`--{} {value}` (repeatable)", option.name),
        Shape::One | Shape::Secret => format!("`--{} {value}`", option.name),
    };
    let _ = writeln!(page, "| {flag} | `{}` | {} | {} |", option.variable(), option.default, option.help);
}
