//! `x-ratelimit-*` headers, named and written as OpenAI does.

use crate::gauge::{Gauge, Standing};

/// The limit, what is left of it and when all of it will be there, for requests and for tokens: of several limits on the
/// same, the one of which the least is left.
pub(crate) fn of(gauges: &[Gauge], standings: &[Standing]) -> Vec<(String, String)> {
    let mut headers = Vec::with_capacity(6);
    for what in ["requests", "tokens"] {
        let of_these =
            gauges.iter().zip(standings).filter(|(gauge, _)| gauge.limit.kind.in_headers() == Some(what));
        let Some((gauge, standing)) = of_these.min_by_key(|(_, standing)| standing.remaining) else {
            continue;
        };
        let name = |of: &str| ["x-ratelimit-", of, "-", what].concat();
        headers.push((name("limit"), gauge.limit.most.to_string()));
        headers.push((name("remaining"), standing.remaining.to_string()));
        headers.push((name("reset"), duration(standing.reset_after_ms)));
    }
    headers
}

/// As Go prints durations, and so OpenAI: `0s`, `17ms`, `1s`, `1.5s`, `6m0s`, `1h0m0.25s`.
pub(crate) fn duration(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let fraction = format!(".{:03}", ms % 1000);
    let seconds = format!("{}{}s", ms / 1000 % 60, fraction.trim_end_matches('0').trim_end_matches('.'));
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_those_of_go() {
        for (ms, expected) in [
            (0, "0s"),
            (1, "1ms"),
            (999, "999ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (8640, "8.64s"),
            (20_000, "20s"),
            (60_000, "1m0s"),
            (360_000, "6m0s"),
            (61_001, "1m1.001s"),
            (3_600_000, "1h0m0s"),
            (86_400_000, "24h0m0s"),
            (3_600_250, "1h0m0.25s"),
        ] {
            assert_eq!(duration(ms), expected, "{ms}");
        }
    }
}
