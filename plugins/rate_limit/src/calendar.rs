//! When a day begins.

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Days of 24 hours, so far from those of UTC.
#[derive(Clone, Copy, Default)]
pub(crate) struct Calendar {
    offset_ms: i64,
}

impl Calendar {
    /// From `+02:00`, `-03:30` or `Z`, as RFC 3339 writes offsets.
    pub(crate) fn parse(offset: &str) -> Option<Self> {
        if offset == "Z" {
            return Some(Self::default());
        }
        let sign = match offset.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, minutes) = offset[1..].split_once(':')?;
        let number = |text: &str, most: i64| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<i64>().ok()).flatten().filter(|number| *number <= most)
        };
        let minutes = number(hours, 23)? * 60 + number(minutes, 59)?;
        Some(Self { offset_ms: sign * minutes * 60 * 1000 })
    }

    /// Number of the day.
    pub(crate) fn day(self, now_ms: u64) -> u64 {
        u64::try_from(self.local_ms(now_ms).div_euclid(DAY_MS)).unwrap_or(0)
    }

    /// How long it lasts from here.
    pub(crate) fn until_next_day(self, now_ms: u64) -> u64 {
        (DAY_MS - self.local_ms(now_ms).rem_euclid(DAY_MS)) as u64
    }

    fn local_ms(self, now_ms: u64) -> i64 {
        i64::try_from(now_ms).unwrap_or(i64::MAX - DAY_MS).saturating_add(self.offset_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::{Calendar, DAY_MS};

    #[test]
    fn offsets_move_the_day() {
        let noon = (100 * DAY_MS + DAY_MS / 2) as u64;
        for (offset, day, hours_left) in [
            ("Z", 100, 12.0),
            ("+00:00", 100, 12.0),
            ("+02:00", 100, 10.0),
            ("-03:30", 100, 15.5),
            ("+12:00", 101, 24.0),
            ("-12:01", 99, 1.0 / 60.0),
        ] {
            let calendar = Calendar::parse(offset).expect("it is an offset");
            let left = (hours_left * 3_600_000.0_f64).round() as u64;
            assert_eq!((calendar.day(noon), calendar.until_next_day(noon)), (day, left), "{offset}");
        }
        for wrong in
            ["", "+", "2", "02:00", "+2:00", "+02", "+24:00", "+02:60", "+02:0x", "+-1:00", "UTC", "+é:00"]
        {
            assert!(Calendar::parse(wrong).is_none(), "{wrong}");
        }
    }
}
