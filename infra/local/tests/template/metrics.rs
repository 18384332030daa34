//! Metrics, alarms and the dashboard.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;
use shared::telemetry::fields::FIELDS;
use shared::telemetry::{measure, metric};

use crate::{named, resources, root, template, text};

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

/// Metrics of AWS's services that we look at (the services' guides, "metrics").
const OF_SERVICES: [(&str, &[&str]); 5] = [
    ("AWS/ApiGateway", &["4xx", "5xx", "Count", "DataProcessed", "IntegrationLatency", "Latency"]),
    (
        "AWS/DynamoDB",
        &[
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "SystemErrors",
            "WriteThrottleEvents",
        ],
    ),
    (
        "AWS/Lambda",
        &[
            "AsyncEventsDropped",
            "ConcurrentExecutions",
            "Duration",
            "Errors",
            "Invocations",
            "IteratorAge",
            "Throttles",
        ],
    ),
    ("AWS/Logs", &["IncomingBytes"]),
    (
        "AWS/SQS",
        &["ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent"],
    ),
];

fn exists(namespace: &str, name: &str) -> bool {
    if namespace == "Switchboard/${AWS::StackName}" {
        return metric::ALL.contains(&name) || measure::ALL.iter().any(|measure| measure.name == name);
    }
    OF_SERVICES.iter().any(|(service, names)| *service == namespace && names.contains(&name))
}

/// The widgets of the dashboard, before names are put in.
fn widgets(template: &Value) -> Vec<serde_json::Value> {
    let body = text(&template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]);
    let body = &body[body.find('{').unwrap()..=body.rfind('}').unwrap()];
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["widgets"].as_array().unwrap().clone()
}

#[test]
fn each_metric_of_the_dashboard_and_of_an_alarm_exists() {
    let template = template();
    let plain =
        |value: &Value| text(value).trim().trim_start_matches("!Sub ").trim_matches(['"', '\'']).to_owned();
    for (name, alarm) in resources(&template, "AWS::CloudWatch::Alarm") {
        let summed =
            alarm["Metrics"].as_sequence().into_iter().flatten().map(|it| &it["MetricStat"]["Metric"]);
        let summed: Vec<_> = summed.filter(|metric| !metric.is_null()).collect();
        for metric in if summed.is_empty() { vec![alarm] } else { summed } {
            let (namespace, metric) = (plain(&metric["Namespace"]), plain(&metric["MetricName"]));
            assert!(exists(&namespace, &metric), "{name}: {namespace} {metric}");
        }
    }
    let mut drawn = BTreeSet::new();
    for widget in widgets(&template) {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            if let (Some(namespace), Some(name)) = (metric[0].as_str(), metric[1].as_str()) {
                assert!(exists(namespace, name), "{namespace} {name}");
                drawn.insert(name.to_owned());
            }
        }
    }
    // What is measured is there to be looked at.
    for measure in measure::ALL {
        assert!(drawn.contains(measure.name), "no widget shows {}", measure.name);
    }
}

#[test]
fn the_dashboard_shows_each_queue_and_function_that_an_alarm_watches() {
    let template = template();
    let body = text(&template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]);
    let mut watched = 0;
    for (name, alarm) in resources(&template, "AWS::CloudWatch::Alarm") {
        if alarm["Namespace"] == "AWS/SQS" {
            let queue = format!("${{{}.QueueName}}", named(&alarm["Dimensions"][0]["Value"]));
            let metric = alarm["MetricName"].as_str().unwrap();
            assert!(body.contains(&format!(r#""{metric}","QueueName","{queue}""#)), "{name}: {queue}");
            watched += 1;
        }
    }
    let errors = text(&template["Resources"]["FunctionErrorsAlarm"]["Properties"]["Metrics"]);
    for function in errors.split("!Ref ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
        assert!(body.contains(&format!(r#""Errors","FunctionName","${{{function}}}""#)), "{function}");
        watched += 1;
    }
    assert!(watched > 15, "{watched}");
}

#[test]
fn the_dashboard_names_only_what_the_template_has_and_no_widget_lies_on_another() {
    let template = template();
    let body = text(&template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]);
    for part in body.split("${").skip(1) {
        let name = part.split(['}', '.']).next().unwrap();
        let known = name.starts_with("AWS::") || !template["Resources"][name].is_null();
        assert!(known, "{name}");
    }
    let mut taken = BTreeSet::new();
    for widget in widgets(&template) {
        let number = |name: &str| widget[name].as_u64().unwrap();
        assert!(number("x") + number("width") <= 24, "{widget}");
        for x in number("x")..number("x") + number("width") {
            for y in number("y")..number("y") + number("height") {
                assert!(taken.insert((x, y)), "{widget}");
            }
        }
    }
}

#[test]
fn the_page_on_observability_lists_the_fields_and_the_metrics_that_there_are() {
    let page = std::fs::read_to_string(root().join("docs/observability.md")).unwrap();
    let row = |cells: &[&str]| format!("| {} |", cells.join(" | "));
    for (name, meaning) in FIELDS {
        let row = row(&[&format!("`{name}`"), meaning]);
        assert!(page.contains(&row), "docs/observability.md lacks\n{row}");
    }
    for measure in measure::ALL {
        let dimension = if measure == measure::FAILED { "none, and `failedCode`" } else { "none" };
        let row = row(&[&format!("`{}`", measure.name), measure.unit, dimension, measure.meaning]);
        assert!(page.contains(&row), "docs/observability.md lacks\n{row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, FIELDS.len() + measure::ALL.len(), "the page has rows of things that are not");
}
