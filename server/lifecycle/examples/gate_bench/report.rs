//! Figures by name, and the targets of some.

use serde_json::{Map, Value};

use crate::requests::Times;

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::{AtLeast, AtMost};

/// Times in microseconds; ratios of requests a second.
const TARGETS: [(&str, Bound); 8] = [
    ("chain5_p50_us", AtMost(25.0)),
    ("chain5_p99_us", AtMost(100.0)),
    ("warm5_p50_us", AtMost(6.0)),
    ("cached_p50_us", AtMost(2.0)),
    ("rs256_p50_us", AtMost(20.0)),
    ("es256_p50_us", AtMost(45.0)),
    ("rps_ratio", AtLeast(0.75)),
    ("rps_ratio_warm", AtLeast(0.9)),
];

/// In the order in which they were measured.
#[derive(Default)]
pub(crate) struct Report(Vec<(String, f64)>);

impl Report {
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        self.0.push((name.to_owned(), value));
    }

    pub(crate) fn times(&mut self, name: &str, times: &Times) {
        self.add(&format!("{name}_p50_us"), times.percentile(50));
        self.add(&format!("{name}_p99_us"), times.percentile(99));
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// What misses its target, or was not measured though it has one.
    pub(crate) fn missed(&self) -> Vec<String> {
        let found = |name: &str| self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        let misses = TARGETS.iter().filter_map(|(name, bound)| {
            let (holds, target) = match (found(name), bound) {
                (None, _) => return Some(format!("{name} was not measured")),
                (Some(value), AtMost(most)) => (value <= *most, format!("at most {most}")),
                (Some(value), AtLeast(least)) => (value >= *least, format!("at least {least}")),
            };
            (!holds).then(|| format!("{name} misses its target, {target}"))
        });
        misses.collect()
    }

    #[expect(clippy::print_stdout, reason = "this is a program, and this is its answer")]
    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            let object: Map<String, Value> =
                self.0.iter().map(|(name, value)| (name.clone(), rounded(*value).into())).collect();
            println!("{}", Value::from(object));
            return;
        }
        for (name, value) in &self.0 {
            let target = TARGETS.iter().find(|(known, _)| known == name).map(|(_, bound)| match bound {
                AtMost(most) => format!("   (at most {most})"),
                AtLeast(least) => format!("   (at least {least})"),
            });
            println!("{name:<28}{:>12}{}", rounded(*value), target.unwrap_or_default());
        }
    }
}

/// To three figures after the point of small numbers and none of large ones.
fn rounded(value: f64) -> f64 {
    let unit = if value < 10.0 {
        1000.0
    } else if value < 1000.0 {
        10.0
    } else {
        1.0
    };
    (value * unit).round() / unit
}
