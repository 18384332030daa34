//! Facts about `template.yaml` that neither the linter nor the local cloud checks.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test crate")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;
use shared::telemetry::metric;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn template() -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(root().join("template.yaml")).unwrap()).unwrap()
}

/// Resources of one type: name and `Properties`.
fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_mapping().unwrap().iter();
    all.filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str().unwrap(), &resource["Properties"]))
        .collect()
}

/// A value as text, with `!Ref x`, `!GetAtt x.y` and `!Sub …` in it.
fn text(value: &Value) -> String {
    serde_yaml_ng::to_string(value).unwrap()
}

/// A value or, behind a `!Ref`, the default of the parameter.
fn number(template: &Value, value: &Value) -> u64 {
    match value {
        Value::Tagged(tagged) => {
            template["Parameters"][tagged.value.as_str().unwrap()]["Default"].as_u64().unwrap()
        }
        plain => plain.as_u64().unwrap(),
    }
}

fn pascal(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn crates() -> BTreeSet<String> {
    let folders = std::fs::read_dir(root().join("functions")).unwrap();
    folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn each_function_crate_has_its_resource_and_each_resource_its_crate() {
    let template = template();
    let mut found = BTreeSet::new();
    for (name, _) in resources(&template, "AWS::Serverless::Function") {
        let metadata = &template["Resources"][name]["Metadata"];
        assert_eq!(metadata["BuildMethod"], "rust-cargolambda", "{name}");
        let binary = metadata["BuildProperties"]["Binary"].as_str().unwrap();
        assert_eq!(name, pascal(binary));
        found.insert(binary.to_owned());
    }
    assert_eq!(found, crates());
}

#[test]
fn no_http_function_outlives_the_gateway() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let events = function["Events"].as_mapping().into_iter().flatten();
        if events.into_iter().any(|(_, event)| event["Type"] == "HttpApi") {
            assert!(function["Timeout"].as_u64().unwrap() < 30, "{name}: API Gateway gives up after 30 s");
        }
    }
}

/// The event sources that are queues; the others are streams of tables.
fn queues_that_feed(template: &Value) -> Vec<(&str, &Value)> {
    let sources = resources(template, "AWS::Lambda::EventSourceMapping").into_iter();
    sources.filter(|(_, source)| !text(&source["EventSourceArn"]).contains(".StreamArn")).collect()
}

#[test]
fn each_stream_that_feeds_a_function_is_filtered_bounded_and_gives_up_into_a_watched_queue() {
    let template = template();
    let watched = watched(&template);
    let sources = resources(&template, "AWS::Lambda::EventSourceMapping").into_iter();
    let streams: Vec<_> =
        sources.filter(|(_, source)| text(&source["EventSourceArn"]).contains(".StreamArn")).collect();
    assert_eq!(streams.len(), 4);
    for (name, source) in streams {
        let table = named(&source["EventSourceArn"]);
        let stream = &template["Resources"][table.as_str()]["Properties"]["StreamSpecification"];
        assert_eq!(stream["StreamViewType"], "NEW_AND_OLD_IMAGES", "{name}");
        assert_eq!(source["FunctionResponseTypes"][0], "ReportBatchItemFailures", "{name}");
        assert_eq!(source["BisectBatchOnFunctionError"], true, "{name}");
        // Below the day that a stream keeps.
        assert!(source["MaximumRecordAgeInSeconds"].as_u64().unwrap() < 86_400, "{name}");
        assert!(watched.contains(&named(&source["DestinationConfig"]["OnFailure"]["Destination"])), "{name}");
        for filter in source["FilterCriteria"]["Filters"].as_sequence().unwrap() {
            let pattern = filter["Pattern"].as_str().unwrap();
            let pattern: serde_json::Value = serde_json::from_str(pattern).unwrap();
            assert!(pattern["eventName"].as_array().unwrap().iter().all(|it| it != "REMOVE"), "{name}");
        }
    }
}

#[test]
fn whoever_calls_foreign_addresses_reaches_nothing_else() {
    let template = template();
    let function = &template["Resources"]["DeliverEvents"]["Properties"];
    let allowed = ["SubscriptionsTable.", "DeliveriesTable.", "EventsQueue.", "TokenKey."];
    for statement in function["Policies"][0]["Statement"].as_sequence().unwrap() {
        let resource = text(&statement["Resource"]);
        assert!(allowed.iter().any(|name| resource.contains(name)), "{resource}");
        assert_eq!(resource.trim().lines().count(), 1, "{resource}");
        let actions = text(&statement["Action"]);
        assert!(!actions.contains("secretsmanager") && !actions.contains("s3:"), "{actions}");
        if actions.contains("kms:") {
            assert_eq!(actions.trim(), "- kms:Decrypt");
            let keys = &statement["Condition"]["ForAnyValue:StringEquals"]["kms:EncryptionContextKeys"];
            assert_eq!(text(keys).trim(), "- switchboard:subscription");
        }
    }
    for (setting, _) in function["Environment"]["Variables"].as_mapping().unwrap() {
        assert!(!setting.as_str().unwrap().contains("SECRET"), "{setting:?}");
    }
    assert_eq!(template["Parameters"]["EventTargets"]["Default"], "public");
}

#[test]
fn each_queue_that_feeds_a_function_reports_single_failures_and_waits_long_enough() {
    let template = template();
    let sources = queues_that_feed(&template);
    assert_eq!(sources.len(), 4);
    for (name, source) in sources {
        assert_eq!(source["FunctionResponseTypes"][0], "ReportBatchItemFailures", "{name}");
        let queue = text(&source["EventSourceArn"]);
        let queue = queue.trim().trim_start_matches("!GetAtt ").trim_end_matches(".Arn").to_owned();
        let queue = &template["Resources"][queue.as_str()]["Properties"];
        let function = text(&source["FunctionName"]);
        let function = &template["Resources"][function.trim().trim_start_matches("!Ref ")]["Properties"];
        // AWS, "Using Lambda with Amazon SQS", read 2026-11-21: at least six times the function's timeout.
        let visible = number(&template, &queue["VisibilityTimeout"]);
        assert!(visible >= 6 * function["Timeout"].as_u64().unwrap(), "{name}");
        assert_eq!(queue["RedrivePolicy"]["maxReceiveCount"], 5, "{name}");
        assert!(text(&queue["RedrivePolicy"]["deadLetterTargetArn"]).contains("DeadQueue"), "{name}");
    }
}

#[test]
fn every_queue_keeps_two_weeks_encrypted_and_dead_letters_as_large_as_live_ones() {
    let template = template();
    for (name, queue) in resources(&template, "AWS::SQS::Queue") {
        assert_eq!(queue["MessageRetentionPeriod"], 1_209_600, "{name}");
        assert_eq!(queue["SqsManagedSseEnabled"], true, "{name}");
        if !name.starts_with("Schedules") {
            assert_eq!(queue["MaximumMessageSize"], 1_048_576, "{name}");
        }
    }
}

#[test]
fn every_table_is_kept_encrypted_recoverable_and_can_expire_items() {
    let template = template();
    let tables = resources(&template, "AWS::DynamoDB::Table");
    assert_eq!(tables.len(), 15);
    for (name, table) in tables {
        assert_eq!(template["Resources"][name]["DeletionPolicy"], "Retain", "{name}");
        assert_eq!(template["Resources"][name]["UpdateReplacePolicy"], "Retain", "{name}");
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST", "{name}");
        assert_eq!(table["SSESpecification"]["SSEEnabled"], true, "{name}");
        assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true, "{name}");
        assert_eq!(table["TimeToLiveSpecification"]["AttributeName"], "expiresAt", "{name}");
    }
}

#[test]
fn no_function_may_touch_more_than_it_names() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        for statement in function["Policies"][0]["Statement"].as_sequence().unwrap() {
            let (actions, resource) = (text(&statement["Action"]), text(&statement["Resource"]));
            assert!(!actions.contains('*'), "{name}: {actions}");
            // The files of a bucket have no other name.
            let resource = resource.replace("${MediaBucket.Arn}/*", "").replace("/uploads/*", "/uploads/");
            assert!(!resource.contains('*'), "{name}: {resource}");
            assert!(!actions.contains("Scan"), "{name}: {actions}");
            // From quarantine goes what has been put on a queue, and a customer goes when somebody asks for it.
            let may_delete = match name {
                "Recovery" => resource.trim().ends_with("QuarantineTable.Arn"),
                "DeliverEvents" => resource.trim().ends_with("DeliveriesTable.Arn"),
                "Subscriptions" => resource.trim().ends_with("SubscriptionsTable.Arn"),
                "EraseCustomer" => {
                    !resource.contains("GrantsTable") && !resource.contains("OnboardingsTable")
                }
                _ => false,
            };
            assert!(!actions.contains("DeleteItem") || may_delete, "{name}: {actions}");
        }
    }
}

#[test]
fn the_token_key_opens_only_with_a_record_named_and_the_files_key_only_for_s3() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        for statement in function["Policies"][0]["Statement"].as_sequence().unwrap() {
            if text(&statement["Action"]).contains("kms:") {
                let condition = &statement["Condition"];
                if text(&statement["Resource"]).contains("MediaKey") {
                    assert!(text(&condition["StringEquals"]["kms:ViaService"]).contains("s3."), "{name}");
                    continue;
                }
                let keys = &condition["ForAnyValue:StringEquals"]["kms:EncryptionContextKeys"];
                assert!(keys.as_sequence().is_some_and(|keys| !keys.is_empty()), "{name}");
            }
        }
    }
}

#[test]
fn every_bucket_is_private_encrypted_and_refuses_plain_http() {
    let template = template();
    let buckets = resources(&template, "AWS::S3::Bucket");
    assert_eq!(buckets.len(), 1);
    for (name, bucket) in buckets {
        let access = bucket["PublicAccessBlockConfiguration"].as_mapping().unwrap();
        assert!(access.len() == 4 && access.values().all(|it| *it == true), "{name}");
        let rule = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
        assert_eq!(rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "aws:kms", "{name}");
        let policies = resources(&template, "AWS::S3::BucketPolicy");
        let policy = policies.into_iter().find(|(_, it)| text(&it["Bucket"]).contains(name)).unwrap().1;
        let statement = &policy["PolicyDocument"]["Statement"][0];
        assert_eq!((&statement["Effect"], &statement["Action"]), (&"Deny".into(), &"s3:*".into()), "{name}");
        assert_eq!(statement["Condition"]["Bool"]["aws:SecureTransport"], "false", "{name}");
    }
}

#[test]
fn only_metas_webhooks_come_without_a_token() {
    let template = template();
    let mut open = Vec::new();
    for (_, function) in resources(&template, "AWS::Serverless::Function") {
        for (_, event) in function["Events"].as_mapping().into_iter().flatten() {
            if event["Properties"]["Auth"]["Authorizer"] == "NONE" {
                open.push(event["Properties"]["Path"].as_str().unwrap());
            }
        }
    }
    assert_eq!(open, ["/api/webhooks/whatsapp", "/api/webhooks/whatsapp"]);
}

#[test]
fn the_access_log_shows_no_address_with_its_query() {
    let template = template();
    let format = template["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"].as_str().unwrap();
    assert!(!format.contains("path") && !format.contains("query"), "{format}");
}

#[test]
fn secrets_are_parameters_that_are_never_shown() {
    let template = template();
    for name in ["AppSecret", "VerifyToken", "SystemUserToken", "ModelKey"] {
        assert_eq!(template["Parameters"][name]["NoEcho"], true, "{name}");
        let environments = text(&template["Globals"]);
        assert!(!environments.contains(&format!("!Ref {name}\n")), "{name} is in a plain variable");
    }
}

/// The settings that a function reads by name: `config::…("NAME"` in its `main.rs`, which alone reads any.
fn settings_of(function: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let code = std::fs::read_to_string(root().join("functions").join(function).join("src/main.rs")).unwrap();
    for call in code.split("config::").skip(1) {
        if let Some((_, argument)) = call.split_once("(\"") {
            let name = argument.split('"').next().unwrap();
            if name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[test]
fn each_function_is_given_the_settings_that_it_reads_and_no_other_names_of_resources() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let binary = template["Resources"][name]["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap();
        let own = &function["Environment"]["Variables"];
        let common = &template["Globals"]["Function"]["Environment"]["Variables"];
        let read = settings_of(binary);
        for (setting, _) in own.as_mapping().unwrap() {
            assert!(read.contains(setting.as_str().unwrap()), "{binary} never reads {setting:?}");
        }
        for setting in read {
            let given = !own[setting.as_str()].is_null() || !common[setting.as_str()].is_null();
            assert!(given, "{binary} reads {setting}, which template.yaml does not give it");
        }
    }
}

/// The name in a `!GetAtt Name.Attribute` or `!Ref Name`.
fn named(value: &Value) -> String {
    let text = text(value);
    let name = text.trim().trim_start_matches("!GetAtt ").trim_start_matches("!Ref ");
    name.split('.').next().unwrap().to_owned()
}

/// The dead-letter queues that an alarm watches from the first letter on.
fn watched(template: &Value) -> BTreeSet<String> {
    let alarms = resources(template, "AWS::CloudWatch::Alarm").into_iter();
    let on_letters = alarms.filter(|(_, alarm)| {
        alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
            && alarm["Threshold"] == 0
            && alarm["ComparisonOperator"] == "GreaterThanThreshold"
    });
    on_letters.map(|(_, alarm)| named(&alarm["Dimensions"][0]["Value"])).collect()
}

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

#[test]
fn each_metric_that_the_functions_count_has_an_alarm_and_each_such_alarm_its_metric() {
    let template = template();
    let watched: BTreeSet<String> = resources(&template, "AWS::CloudWatch::Alarm")
        .into_iter()
        .filter(|(_, alarm)| text(&alarm["Namespace"]).contains("Switchboard/${AWS::StackName}"))
        .map(|(_, alarm)| alarm["MetricName"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(watched, metric::ALL.map(str::to_owned).into());
    let namespace = &template["Globals"]["Function"]["Environment"]["Variables"]["METRICS_NAMESPACE"];
    assert!(text(namespace).contains("Switchboard/${AWS::StackName}"), "{namespace:?}");
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
