//! The runbook: an entry for each alarm, and queries that find something.

use std::collections::BTreeSet;

use shared::telemetry::fields::is_allowed;

use crate::{resources, root, template, text};

/// Words of CloudWatch Logs Insights, and the fields that it makes itself.
const OF_INSIGHTS: [&str; 26] = [
    "filter",
    "fields",
    "sort",
    "desc",
    "asc",
    "limit",
    "stats",
    "by",
    "as",
    "and",
    "or",
    "not",
    "in",
    "like",
    "count",
    "avg",
    "max",
    "min",
    "sum",
    "latest",
    "bin",
    "@timestamp",
    "@message",
    "@type",
    "@duration",
    "pct",
];

/// The names in a query, without what it names itself (`as n`), texts and patterns.
fn names_of(query: &str) -> BTreeSet<String> {
    let mut plain = String::new();
    let mut end = None;
    for letter in query.chars() {
        match end {
            Some(quote) if letter == quote => end = None,
            Some(_) => {}
            None if matches!(letter, '"' | '/') => end = Some(letter),
            None => plain.push(letter),
        }
    }
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '@' | '_' | '.');
    let words: Vec<&str> = plain.split(|letter| !is_part(letter)).filter(|word| !word.is_empty()).collect();
    let own: BTreeSet<&str> = words.windows(2).filter(|two| two[0] == "as").map(|two| two[1]).collect();
    let names = words.into_iter().filter(|word| !own.contains(word) && !OF_INSIGHTS.contains(word));
    names.filter(|word| !word.starts_with(|first: char| first.is_ascii_digit())).map(str::to_owned).collect()
}

#[test]
fn the_queries_of_the_runbook_ask_for_fields_that_are_written() {
    let template = template();
    let format = template["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"].as_str().unwrap();
    let of_access: serde_json::Value = serde_json::from_str(format).unwrap();
    let book = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let mut asked = 0;
    for call in book.split("ask ").skip(1) {
        let Some((log, rest)) = call.split_once(' ') else { continue };
        let Some(query) = rest.split('\'').nth(1).filter(|_| log.ends_with("Log") || log == "$log") else {
            continue;
        };
        for name in names_of(&query.replace("\\|", "|")) {
            let is_known = match log {
                "ApiLog" => of_access.get(&name).is_some(),
                _ => is_allowed(&name),
            };
            assert!(is_known, "{log}: {name} in {query}");
        }
        asked += 1;
    }
    assert!(asked > 30, "{asked} queries were found");
}

/// `AnswerDelayedAlarm` as a heading, `Answer delayed`.
fn words(alarm: &str) -> String {
    let mut words = String::new();
    for letter in alarm.trim_end_matches("Alarm").chars() {
        match letter {
            'A'..='Z' if !words.is_empty() => words.extend([' ', letter.to_ascii_lowercase()]),
            _ => words.push(letter),
        }
    }
    words
}

/// The entries of `docs/runbook.md`: heading and text.
fn runbook() -> Vec<(String, String)> {
    let book = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let entries = book.split("\n### ").skip(1).map(|entry| {
        let (heading, text) = entry.split_once('\n').unwrap();
        // What follows under a heading of the level above belongs to no entry.
        (heading.to_owned(), text.split("\n## ").next().unwrap().to_owned())
    });
    entries.collect()
}

#[test]
fn each_alarm_has_an_entry_in_the_runbook_and_each_entry_its_alarm() {
    let template = template();
    let alarms = resources(&template, "AWS::CloudWatch::Alarm").into_iter();
    let alarms: BTreeSet<String> = alarms.map(|(name, _)| words(name)).collect();
    let entries: Vec<String> = runbook().into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(entries.iter().cloned().collect::<BTreeSet<_>>(), alarms);
    assert_eq!(entries.len(), alarms.len(), "an alarm has two entries");
}

#[test]
fn each_entry_of_the_runbook_says_what_it_means_how_to_look_how_to_mend_and_when_it_is_over() {
    for (heading, text) in runbook() {
        for part in ["**Means.**", "**Look.**", "**Mend.**", "**Over.**"] {
            assert!(text.contains(part), "{heading} lacks {part}");
        }
    }
}

#[test]
fn each_alarm_says_where_the_runbook_speaks_of_it() {
    let template = template();
    for (name, alarm) in resources(&template, "AWS::CloudWatch::Alarm") {
        let description = alarm["AlarmDescription"].as_str().unwrap();
        let anchor = format!("docs/runbook.md#{}", words(name).to_lowercase().replace(' ', "-"));
        assert!(description.ends_with(&anchor), "{name} does not end with {anchor}");
    }
}

#[test]
fn whoever_hears_of_errors_looks_into_the_log_of_each_function_that_the_alarm_watches() {
    let template = template();
    let alarm = text(&template["Resources"]["FunctionErrorsAlarm"]["Properties"]["Metrics"]);
    let watched: BTreeSet<&str> =
        alarm.split("!Ref ").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
    let (_, entry) = runbook().into_iter().find(|(heading, _)| heading == "Function errors").unwrap();
    let looked_at = entry.split("for f in ").nth(1).unwrap().split(';').next().unwrap();
    assert_eq!(looked_at.split(' ').collect::<BTreeSet<_>>(), watched);
}
