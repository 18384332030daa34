//! What failed for good waits where somebody hears of it.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use crate::{named, number, queues_that_feed, resources, template, text, watched};

#[test]
fn each_queue_that_feeds_a_function_has_a_dead_letter_queue_of_its_own_that_an_alarm_watches() {
    let template = template();
    let (watched, mut dead) = (watched(&template), BTreeSet::new());
    let sources = queues_that_feed(&template);
    for (name, source) in &sources {
        let queue = named(&source["EventSourceArn"]);
        let target =
            &template["Resources"][queue.as_str()]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"];
        let target = named(target);
        assert!(watched.contains(&target), "{name}: nobody watches {target}");
        assert!(dead.insert(target), "{name} shares its dead letters");
    }
    assert!(!sources.is_empty());
}

#[test]
fn each_schedule_has_a_dead_letter_queue_that_an_alarm_watches() {
    let (template, mut jobs) = (template(), BTreeSet::new());
    let watched = watched(&template);
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        for (_, event) in function["Events"].as_mapping().into_iter().flatten() {
            if event["Type"] == "ScheduleV2" {
                let target = named(&event["Properties"]["DeadLetterConfig"]["Arn"]);
                assert!(watched.contains(&target), "{name}: nobody watches {target}");
                let input = event["Properties"]["Input"].as_str().unwrap();
                let input: serde_json::Value = serde_json::from_str(input).unwrap();
                assert_eq!(input["source"], "switchboard.schedule", "{name}");
                jobs.insert(input["job"].as_str().unwrap().to_owned());
            }
        }
    }
    for job in ["archive-dead-letters", "resume-onboardings", "sweep-due-answers", "deliver-due-events"] {
        assert!(jobs.contains(job), "nothing schedules {job}: {jobs:?}");
    }
}

#[test]
fn dead_letters_are_archived_days_before_they_age_out_and_every_hour_anew() {
    let template = template();
    let recovery = &template["Resources"]["Recovery"]["Properties"];
    let schedule = &recovery["Events"]["EveryHour"]["Properties"];
    assert_eq!(schedule["ScheduleExpression"], "rate(1 hour)");
    let after = number(&template, &recovery["Environment"]["Variables"]["ARCHIVE_AFTER_DAYS"]);
    let latest = template["Parameters"]["ArchiveAfterDays"]["MaxValue"].as_u64().unwrap();
    for (name, queue) in resources(&template, "AWS::SQS::Queue") {
        let days = queue["MessageRetentionPeriod"].as_u64().unwrap() / (24 * 60 * 60);
        assert!(after + 7 <= days && latest < days, "{name}: letters of {days} days");
    }
    // Whoever fails at it is heard of.
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    let of_errors = |alarm: &Value| alarm["MetricName"] == "Errors" && text(alarm).contains("!Ref Recovery");
    assert!(alarms.iter().any(|(_, alarm)| of_errors(alarm)));
}

#[test]
fn every_dead_letter_queue_has_an_alarm() {
    let template = template();
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    for (name, _) in resources(&template, "AWS::SQS::Queue") {
        if name.contains("Dead") {
            let watched = format!("{name}.QueueName");
            assert!(alarms.iter().any(|(_, alarm)| text(&alarm["Dimensions"]).contains(&watched)), "{name}");
        }
    }
}
