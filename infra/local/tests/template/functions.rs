//! Functions: their crates, settings, limits and what feeds them.

use std::collections::BTreeSet;

use crate::{
    crates, named, number, pascal, queues_that_feed, resources, root, statements, template, text, watched,
};

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
    for statement in statements(function) {
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
        let function = function.trim().trim_start_matches("!Ref ").trim_end_matches(".Alias");
        let function = &template["Resources"][function]["Properties"];
        // AWS, "Using Lambda with Amazon SQS", read 2026-11-21: at least six times the function's timeout.
        let visible = number(&template, &queue["VisibilityTimeout"]);
        assert!(visible >= 6 * function["Timeout"].as_u64().unwrap(), "{name}");
        assert_eq!(queue["RedrivePolicy"]["maxReceiveCount"], 5, "{name}");
        assert!(text(&queue["RedrivePolicy"]["deadLetterTargetArn"]).contains("DeadQueue"), "{name}");
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
