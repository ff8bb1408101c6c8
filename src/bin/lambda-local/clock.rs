//! Timestamps and identifiers in the formats of AWS.
//!
//! Timestamps have three formats: ISO 8601 in logs, the Apache log format in
//! `requestContext.time`, and IMF-fixdate (RFC 9110 5.6.7) in `Date` headers. Identifiers are UUIDs
//! and X-Ray trace ids. Their randomness is the standard library's hasher seed, which is enough
//! because none of them is a secret.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// `2026-02-03T10:11:12.345Z`
pub fn iso(ms: i64) -> String {
    let date = Date::from_ms(ms);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year,
        date.month,
        date.day,
        date.hour,
        date.minute,
        date.second,
        ms.rem_euclid(1000)
    )
}

/// `03/Feb/2026:10:11:12 +0000`
pub fn apache(ms: i64) -> String {
    let date = Date::from_ms(ms);
    format!(
        "{:02}/{}/{:04}:{:02}:{:02}:{:02} +0000",
        date.day,
        date.month_name(),
        date.year,
        date.hour,
        date.minute,
        date.second
    )
}

/// `Tue, 03 Feb 2026 10:11:12 GMT`
pub fn http(ms: i64) -> String {
    let date = Date::from_ms(ms);
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        date.weekday,
        date.day,
        date.month_name(),
        date.year,
        date.hour,
        date.minute,
        date.second
    )
}

/// Returns a random (version 4) UUID.
pub fn uuid() -> String {
    let (high, low) = (random(), random());
    let version = (high & 0x0fff) | 0x4000;
    let variant = ((low >> 48) & 0x3fff) | 0x8000;
    format!(
        "{:08x}-{:04x}-{version:04x}-{variant:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        low & 0xffff_ffff_ffff
    )
}

/// Returns the root of an X-Ray trace: `1-<seconds, hex>-<24 hex digits>`.
pub fn trace_root(ms: i64) -> String {
    format!(
        "1-{:08x}-{:016x}{:08x}",
        ms / 1000,
        random(),
        random() >> 32
    )
}

pub fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[derive(Debug)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    weekday: &'static str,
}

impl Date {
    /// Converts days to a date of the proleptic Gregorian calendar. Years are counted from March,
    /// so that the leap day is the last day of a year.
    fn from_ms(ms: i64) -> Date {
        let seconds = ms.div_euclid(1000);
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        Date {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: match (days + 4).rem_euclid(7) {
                0 => "Sun",
                1 => "Mon",
                2 => "Tue",
                3 => "Wed",
                4 => "Thu",
                5 => "Fri",
                _ => "Sat",
            },
        }
    }

    fn month_name(&self) -> &'static str {
        match self.month {
            1 => "Jan",
            2 => "Feb",
            3 => "Mar",
            4 => "Apr",
            5 => "May",
            6 => "Jun",
            7 => "Jul",
            8 => "Aug",
            9 => "Sep",
            10 => "Oct",
            11 => "Nov",
            _ => "Dec",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_three_formats() {
        let ms = 1_770_113_472_345;
        assert_eq!(iso(ms), "2026-02-03T10:11:12.345Z");
        assert_eq!(apache(ms), "03/Feb/2026:10:11:12 +0000");
        assert_eq!(http(ms), "Tue, 03 Feb 2026 10:11:12 GMT");
    }

    #[test]
    fn leap_days_and_the_epoch_are_converted() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso(1_709_251_199_000), "2024-02-29T23:59:59.000Z");
    }

    #[test]
    fn a_uuid_has_the_form_and_version_of_one() {
        let id = uuid();
        let groups: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes().get(14), Some(&b'4'));
        assert_ne!(id, uuid());
        assert_eq!(trace_root(1_770_113_472_345).len(), 35);
    }
}
