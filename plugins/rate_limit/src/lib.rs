//! Says whether a caller may go on now: so many requests and tokens a minute and a day, so many requests at once.

mod calendar;
mod config;
mod gauge;
mod headers;
mod limit;
mod refusal;
mod rule;
#[cfg(test)]
mod tests;

use mlx_gate_plugin::rate_limit::{Ending, RateLimit, Reservation, Verdict};
use mlx_gate_plugin::{Description, Operation, Plugin, Principal, Rejected, Usage, host, kv};

use calendar::Calendar;
pub use config::Config;
use gauge::{Gauge, Standing};
use rule::{Per, Rule};

/// The plugin: its rules in the order in which they were written, and what it needs to apply them.
pub struct RateLimits {
    rules: Vec<Rule>,
    calendar: Calendar,
    /// Reserved for an answer whose length the client left open.
    default_output_tokens: u64,
}

impl Plugin for RateLimits {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "rate_limit",
            version: env!("CARGO_PKG_VERSION"),
            config_schema: include_str!("../config.schema.json"),
            credential_headers: &[],
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        config.resolve()
    }
}

impl RateLimit for RateLimits {
    fn admit(&self, who: Option<Principal>, what: Operation) -> Verdict {
        let now_ms = host::now_ms();
        let day = self.calendar.day(now_ms);
        let gauges = self.gauges(who.as_ref(), &what, day);
        if gauges.is_empty() {
            return Verdict::Pass;
        }
        if let Some(gauge) = gauges.iter().find(|gauge| gauge.amount > gauge.limit.most) {
            return Verdict::Deny(refusal::too_large(gauge, what.model.as_deref()));
        }
        // Nobody is let in because nobody could count: the host makes a 503 of a panic, and writes it down.
        let decided = self.take_all(&gauges, now_ms).unwrap_or_else(|error| {
            panic!("the counters cannot be reached: {error:?}");
        });
        match decided {
            Ok(standings) => {
                // What was reserved belongs to this day, however late the request ends.
                Verdict::Reserve(Reservation { ticket: day, headers: headers::of(&gauges, &standings) })
            }
            Err((refusing, standings)) => {
                let headers = headers::of(&gauges, &standings);
                let model = what.model.as_deref();
                Verdict::Deny(refusal::not_now(&gauges[refusing], standings[refusing], model, headers))
            }
        }
    }

    fn settle(&self, who: Option<Principal>, what: Operation, ticket: u64, ending: Ending, used: Usage) {
        let used = used.input_tokens.saturating_add(used.output_tokens);
        for gauge in self.gauges(who.as_ref(), &what, ticket) {
            let result = match ending {
                Ending::NotRun => gauge.give_back(),
                Ending::Ran => gauge.correct(used),
            };
            // There is nobody left to refuse; the other counters are still to be corrected.
            if let Err(error) = result {
                let message = format!("{} cannot be corrected: {error:?}", gauge.limit.kind.name());
                host::log(host::Level::Error, &message);
            }
        }
    }
}

/// How all gauges stand after everything was taken, or which one refused and how all stand after everything was put back.
type Decision = Result<Vec<Standing>, (usize, Vec<Standing>)>;

impl RateLimits {
    /// What this request is counted by. The first rule that is about it counts, of those with the same `per`.
    fn gauges<'r>(&'r self, who: Option<&Principal>, what: &Operation, day: u64) -> Vec<Gauge<'r>> {
        let tokens = self.estimate(what);
        let mut seen: Vec<Per> = Vec::new();
        let mut gauges = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.is_about(who, what)) {
            if seen.contains(&rule.per) {
                continue;
            }
            seen.push(rule.per);
            let account = rule.account(who, what);
            let all = rule.limits.iter().map(|limit| Gauge::new(rule, *limit, &account, tokens, day));
            gauges.extend(all.filter(|gauge| gauge.amount > 0));
        }
        gauges
    }

    /// The most tokens that this operation will take: its prompt and its longest answer.
    fn estimate(&self, what: &Operation) -> u64 {
        let output = match what.api.as_str() {
            // They generate nothing.
            "count-tokens" | "embedding" | "models" | "rerank" | "score" | "tokenize" => 0,
            _ if what.model.is_none() => 0,
            _ => what.max_output_tokens.unwrap_or(self.default_output_tokens),
        };
        what.input_tokens.saturating_add(output)
    }

    /// Takes from one gauge after the other until one refuses; then puts everything back.
    fn take_all(&self, gauges: &[Gauge], now_ms: u64) -> Result<Decision, kv::Error> {
        let day_ends_ms = self.calendar.until_next_day(now_ms);
        let mut standings = Vec::with_capacity(gauges.len());
        let mut refusing = None;
        for (index, gauge) in gauges.iter().enumerate() {
            // After a refusal the others are only looked at, for the headers.
            let standing = if refusing.is_none() { gauge.take(day_ends_ms) } else { gauge.look(day_ends_ms) };
            let standing = standing.inspect_err(|_| put_back(&gauges[..refusing.unwrap_or(index)]))?;
            if refusing.is_none() && !standing.allowed {
                refusing = Some(index);
            }
            standings.push(standing);
        }
        let Some(refusing) = refusing else { return Ok(Ok(standings)) };
        put_back(&gauges[..refusing]);
        for (gauge, standing) in gauges[..refusing].iter().zip(&mut standings) {
            *standing = gauge.look(day_ends_ms)?;
        }
        Ok(Err((refusing, standings)))
    }
}

/// Gives everything back that was taken from these gauges. One that fails is written down: it is short for a while, which
/// refuses somebody too early rather than too late.
fn put_back(gauges: &[Gauge]) {
    for gauge in gauges {
        if let Err(error) = gauge.give_back() {
            let message = format!("{} cannot be given back: {error:?}", gauge.limit.kind.name());
            host::log(host::Level::Error, &message);
        }
    }
}

mlx_gate_plugin::export!(RateLimits: rate_limit);
