//! Points in time as microseconds since 1970, and as people write them.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta};

/// How a date may be written.
pub const EXPECTED: &str = "a date such as `2022-12-16` or `2022-12-16T12:30:00`";

/// Microseconds since 1970 of a date (its midnight) or a date with time, without time zone or in UTC.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let midnight = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let time = || formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let zoned = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.naive_utc());
    midnight().or_else(time).or_else(zoned).map(|time| time.and_utc().timestamp_micros())
}

/// The date of `micros`, with the time when it is not midnight.
pub fn format(micros: i64) -> String {
    let Some(time) = DateTime::from_timestamp_micros(micros) else {
        return format!("{micros} µs since 1970");
    };
    let whole_day = micros % 86_400_000_000 == 0;
    time.naive_utc().format(if whole_day { "%Y-%m-%d" } else { "%Y-%m-%dT%H:%M:%S%.f" }).to_string()
}

/// The date of a day, in days since 1970.
pub fn of_day(day: i32) -> NaiveDate {
    let date = NaiveDate::default().checked_add_signed(TimeDelta::days(day.into()));
    // What lies beyond the calendar lies at its end.
    date.unwrap_or(if day < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
}

/// The first day of the month of a day, both in days since 1970.
pub fn first_of_month(day: i32) -> i32 {
    day.saturating_sub(of_day(day).day0() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_midnight() {
        assert_eq!(parse("1970-01-02"), Some(86_400_000_000));
        assert_eq!(parse("1970-01-02"), parse("1970-01-02T00:00:00"));
        assert_eq!(parse("1970-01-01 00:00:01.5"), Some(1_500_000));
        assert_eq!(parse("1970-01-01T03:00:00+03:00"), Some(0));
        for wrong in ["2022-13-01", "16.12.2022", "", "tomorrow", "2022-02-30"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn months_begin_on_their_first() {
        assert_eq!(of_day(59).to_string(), "1970-03-01");
        assert_eq!([0, 30, 31, 58, 59, -1].map(first_of_month), [0, 0, 31, 31, 59, -31]);
        assert_eq!(of_day(i32::MAX), NaiveDate::MAX);
    }

    #[test]
    fn what_is_written_can_be_read() {
        for micros in [0, -1, 1_500_000, 1_671_148_800_000_000] {
            assert_eq!(parse(&format(micros)), Some(micros), "{}", format(micros));
        }
        assert_eq!(format(1_671_148_800_000_000), "2022-12-16");
    }
}
