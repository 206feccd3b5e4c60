//! Axes: from values to places, and where the ticks stand.

use chrono::{Datelike, NaiveDate};

use super::numbers;

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps are equal differences.
    Linear,
    /// Equal steps are equal ratios; values are above 0.
    Log,
    /// Days since 1970.
    Days,
    /// Shares, shown in percent.
    Share,
}

/// One axis of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What is measured, with its unit.
    pub title: String,
    /// How.
    pub scale: Scale,
    /// The value at the start.
    pub low: f64,
    /// The value at the end.
    pub high: f64,
}

impl Axis {
    /// An axis over these values.
    pub fn new(title: impl Into<String>, scale: Scale, low: f64, high: f64) -> Self {
        // An axis of no length has no places.
        let high = if high > low { high } else { low + if low == 0.0 { 1.0 } else { low.abs() * 0.1 } };
        Self { title: title.into(), scale, low, high }
    }

    /// An axis from 0 to the next tick above `high`.
    pub fn from_zero(title: impl Into<String>, scale: Scale, high: f64) -> Self {
        let step = step(high.max(0.0), 5);
        let high = (high / step - 1e-9).ceil().max(1.0) * step;
        Self { title: title.into(), scale, low: 0.0, high }
    }

    /// An axis that holds these values with a little room; 0 is on it only when it is near.
    pub fn around(title: impl Into<String>, scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        if low > high {
            return Self::new(title, scale, 0.0, 1.0);
        }
        let step = step((high - low).max(high.abs() * 1e-3), 5);
        let low = (low / step + 1e-9).floor() * step;
        Self::new(title, scale, low, (high / step - 1e-9).ceil() * step)
    }

    /// Where a value lies, from 0 at the start to 1 at the end.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Log => {
                let low = self.low.max(f64::MIN_POSITIVE).ln();
                (value.max(f64::MIN_POSITIVE).ln() - low) / (self.high.ln() - low)
            }
            _ => (value - self.low) / (self.high - self.low),
        }
    }

    /// At most about `most` ticks, with their labels.
    pub fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Log => self.log_ticks(most),
            Scale::Days => day_ticks(self.low, self.high, most),
            Scale::Linear => self.linear_ticks(most, numbers::tick),
            Scale::Share => self.linear_ticks(most, |value, decimals| {
                format!("{:.*} %", decimals.saturating_sub(2), value * 100.0)
            }),
        }
    }

    fn linear_ticks(&self, most: usize, label: impl Fn(f64, usize) -> String) -> Vec<(f64, String)> {
        let step = step(self.high - self.low, most);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|tick| tick as f64 * step).map(|value| (value, label(value, decimals))).collect()
    }

    /// Powers of ten; with 2 and 5 between where there is room.
    fn log_ticks(&self, most: usize) -> Vec<(f64, String)> {
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = if decades * 3.0 <= most as f64 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = if factors.len() == 1 { (decades / most as f64).ceil().max(1.0) as i32 } else { 1 };
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let powers = (first..=last).filter(|power| power.rem_euclid(every) == 0);
        let values = powers.flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
        let inside = values.filter(|value| (-1e-9..=1.0 + 1e-9).contains(&self.place(*value)));
        let decimals = |value: f64| (-value.log10().floor()).max(0.0) as usize;
        inside.map(|value| (value, numbers::tick(value, decimals(value)))).collect()
    }
}

/// A round distance between ticks: 1, 2 or 5 times a power of ten, so that there are about `most` in `range`.
pub fn step(range: f64, most: usize) -> f64 {
    if range <= 0.0 || !range.is_finite() {
        return 1.0;
    }
    let wanted = range / most.max(1) as f64;
    let power = 10f64.powf(wanted.log10().floor());
    let wanted = wanted / power;
    let round = [1.0, 2.0, 5.0].into_iter().find(|round| wanted <= round * (1.0 + 1e-9)).unwrap_or(10.0);
    power * round
}

/// A date of days since 1970.
pub fn date(day: f64) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt((day.floor() as i32).checked_add(719_163)?)
}

fn day_ticks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let (Some(first), Some(last)) = (date(low), date(high)) else { return Vec::new() };
    let days = high - low;
    let most = most.max(1) as f64;
    if let Some(every) = [1, 2, 7, 14].into_iter().find(|&every| days / f64::from(every) <= most) {
        let start = low.ceil() as i32;
        let ticks =
            (start..=high.floor() as i32).filter(|day| day.rem_euclid(every) == start.rem_euclid(every));
        let label = |day: i32| date(day.into()).map(|date| (day.into(), date.format("%-d %b").to_string()));
        return ticks.filter_map(label).collect();
    }
    let months = days / 30.4;
    let every =
        [1, 2, 3, 6, 12, 24, 60, 120, 240, 600].into_iter().find(|&every| months / f64::from(every) <= most);
    let every = every.unwrap_or(1200);
    let number = |date: NaiveDate| date.year() * 12 + date.month0() as i32;
    let ticks = (number(first)..=number(last)).filter(|month| month.rem_euclid(every) == 0);
    let dates = ticks.filter_map(|month| {
        NaiveDate::from_ymd_opt(month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1)
    });
    let format = if every >= 12 { "%Y" } else { "%b %Y" };
    dates
        .map(|date| (f64::from(date.num_days_from_ce() - 719_163), date.format(format).to_string()))
        .filter(|(day, _)| (low..=high).contains(day))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, most: usize) -> Vec<String> {
        axis.ticks(most).into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!([step(37.0, 5), step(4.1, 5), step(0.03, 5), step(0.0, 5)], [10.0, 1.0, 0.01, 1.0]);
        let axis = Axis::from_zero("", Scale::Linear, 0.084);
        assert_eq!(labels(&axis, 5), ["0.00", "0.02", "0.04", "0.06", "0.08", "0.10"]);
        assert_eq!(labels(&Axis::from_zero("", Scale::Share, 0.3), 3), ["0 %", "10 %", "20 %", "30 %"]);
        let around = Axis::around("", Scale::Linear, [0.0389, 0.0401, 0.052].into_iter());
        assert_eq!((around.low, around.high > 0.052 && around.high < 0.06), (0.035, true));
        let flat = Axis::around("", Scale::Linear, [2.0, 2.0].into_iter());
        assert!(flat.place(2.0).is_finite() && flat.high > flat.low, "{flat:?}");
    }

    #[test]
    fn a_logarithmic_axis_has_powers_and_more_where_there_is_room() {
        let axis = Axis::new("", Scale::Log, 1.0, 100_000.0);
        assert_eq!(labels(&axis, 6), ["1", "10", "100", "1,000", "10,000", "100,000"]);
        assert_eq!(labels(&axis, 3), ["1", "100", "10,000"]);
        assert_eq!(labels(&Axis::new("", Scale::Log, 20.0, 740.0), 8), ["20", "50", "100", "200", "500"]);
        assert!((axis.place(10.0) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn days_are_named_by_what_fits() {
        let day = |text: &str| f64::from(text.parse::<NaiveDate>().unwrap().num_days_from_ce() - 719_163);
        let axis = |from, to| Axis::new("", Scale::Days, day(from), day(to));
        assert_eq!(
            labels(&axis("2022-01-01", "2022-12-31"), 6),
            ["Jan 2022", "Mar 2022", "May 2022", "Jul 2022", "Sep 2022", "Nov 2022"]
        );
        assert_eq!(
            labels(&axis("2005-06-01", "2011-05-01"), 6),
            ["2006", "2007", "2008", "2009", "2010", "2011"]
        );
        assert_eq!(
            labels(&axis("2022-03-01", "2022-03-05"), 6),
            ["1 Mar", "2 Mar", "3 Mar", "4 Mar", "5 Mar"]
        );
    }
}
