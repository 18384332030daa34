//! Parameters, versions and the way in.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use crate::{named, resources, template, text};

#[test]
fn each_parameter_says_what_it_is_what_it_may_be_and_stands_in_a_group() {
    let template = template();
    let groups = &template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
    let groups = groups.as_sequence().unwrap().iter();
    let mut grouped: Vec<&str> = groups
        .flat_map(|group| group["Parameters"].as_sequence().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    grouped.sort_unstable();
    let parameters = template["Parameters"].as_mapping().unwrap();
    let mut names: Vec<&str> = parameters.keys().map(|name| name.as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(grouped, names);
    for (name, parameter) in parameters {
        let has = |property: &str| !parameter[property].is_null();
        assert!(has("Description") && has("ConstraintDescription"), "{name:?}");
        let bounded = has("MinValue") && has("MaxValue");
        assert!(has("AllowedPattern") || has("AllowedValues") || bounded, "{name:?} may be anything");
        if parameter["Type"] == "Number" {
            assert!(bounded || has("AllowedValues"), "{name:?}: a pattern does nothing for a number");
        }
    }
}

/// The parameters in a value's `!Ref`s and `!Sub`s.
fn parameters_in(template: &Value, value: &Value) -> BTreeSet<String> {
    let text = text(value);
    let names = template["Parameters"].as_mapping().unwrap().keys().map(|name| name.as_str().unwrap());
    let is_named = |name: &&str| {
        let word = |text: &str| {
            let next = text.chars().next();
            !next.is_some_and(|next| next.is_ascii_alphanumeric() || next == '.')
        };
        text.split(&format!("!Ref {name}")).skip(1).any(word) || text.contains(&format!("${{{name}}}"))
    };
    names.filter(is_named).map(str::to_owned).collect()
}

/// A version is published where the code or the version's description changed. A setting that is not in it would
/// change nothing: routes, schedules and queues lead to versions. And Lambda refuses a version whose code and
/// configuration are those of the version before, so the description is a setting, too.
#[test]
fn each_setting_of_a_function_makes_a_new_version_when_it_changes() {
    let template = template();
    let functions = resources(&template, "AWS::Serverless::Function");
    let common = &template["Globals"]["Function"]["Environment"];
    let published = text(&common["Variables"]["PUBLISHED"]);
    let mut given = parameters_in(&template, common);
    for (_, function) in functions.iter().filter(|(name, _)| *name != "ReportErrors") {
        given.extend(parameters_in(&template, &function["Environment"]));
    }
    // Too long for a description of 256 characters (Release stands for it); and only for a local cloud.
    given.retain(|name| name != "Models" && name != "AwsEndpointUrl");
    for (name, function) in functions {
        let shown = parameters_in(&template, &function["VersionDescription"]);
        if name == "ReportErrors" {
            // It reads its own settings only, of which no other function knows.
            assert_eq!(shown, parameters_in(&template, &function["Environment"]));
        } else {
            assert_eq!(shown, given, "{name}");
            assert_eq!(text(&function["VersionDescription"]), published, "{name}");
        }
    }
    let most = |name: &str| template["Parameters"][name]["MaxLength"].as_u64().unwrap();
    assert!(most("SentryDsn") + " ".len() as u64 + 40 + " ".len() as u64 + 16 <= 256, "Release and Stage");
}

#[test]
fn versions_get_their_traffic_gradually_in_prod_and_alarms_take_it_back() {
    let template = template();
    let function = &template["Globals"]["Function"];
    assert_eq!(function["AutoPublishAlias"], "live");
    let rollout = text(&function["DeploymentPreference"]);
    let kind = text(&function["DeploymentPreference"]["Type"]);
    assert!(kind.contains("- IsGradual\n- Canary10Percent5Minutes\n- AllAtOnce"), "{kind}");
    for alarm in ["FunctionErrorsAlarm", "QuarantinedAlarm"] {
        assert!(rollout.contains(&format!("!Ref {alarm}\n")), "{alarm}");
    }
    for (alarm, name) in [("ApiErrorsAlarm", "-api-errors"), ("WebhookErrorsAlarm", "-webhook-errors")] {
        let name = format!("${{AWS::StackName}}{name}");
        assert!(rollout.contains(&name), "{alarm}");
        assert!(text(&template["Resources"][alarm]["Properties"]["AlarmName"]).contains(&name), "{alarm}");
    }
    assert!(!rollout.contains("Dead"), "old dead letters would turn the mending deployment back");
    let mut errors = text(&template["Resources"]["FunctionErrorsAlarm"]["Properties"]["Metrics"]);
    for name in ["WebhookErrorsAlarm", "RecoveryErrorsAlarm", "ErrorReportsLostAlarm"] {
        errors += &text(&template["Resources"][name]["Properties"]["Dimensions"]);
    }
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let events = text(&function["Events"]);
        let unattended = events.contains("ScheduleV2") || events == "null\n";
        assert!(
            !unattended || errors.contains(&format!("!Ref {name}\n")),
            "nobody hears of errors of {name}"
        );
    }
}

#[test]
fn everything_that_calls_a_function_calls_its_alias() {
    let template = template();
    for (name, source) in resources(&template, "AWS::Lambda::EventSourceMapping") {
        assert!(text(&source["FunctionName"]).trim().ends_with(".Alias"), "{name}");
    }
    for (name, permission) in resources(&template, "AWS::Lambda::Permission") {
        assert!(text(&permission["FunctionName"]).trim().ends_with(".Alias"), "{name}");
    }
    for (name, filter) in resources(&template, "AWS::Logs::SubscriptionFilter") {
        assert!(text(&filter["DestinationArn"]).trim().ends_with(".Alias"), "{name}");
    }
    for (name, output) in template["Outputs"].as_mapping().unwrap() {
        if name.as_str().unwrap().ends_with("Function") {
            assert!(text(&output["Value"]).trim().ends_with(".Alias"), "{name:?}");
        }
    }
}

/// Whatever reports to Sentry is only there with `SentryDsn`, so nothing is ever sent by default.
#[test]
fn each_functions_errors_go_to_sentry_where_there_is_one_but_those_of_reporting_do_not() {
    let template = template();
    assert_eq!(template["Parameters"]["SentryDsn"]["Default"], "");
    assert_eq!(text(&template["Conditions"]["HasSentry"]), "!Not\n- !Equals\n  - !Ref SentryDsn\n  - ''\n");
    let mut reported = BTreeSet::new();
    for (name, filter) in resources(&template, "AWS::Logs::SubscriptionFilter") {
        assert_eq!(filter["FilterPattern"], r#"{ $.level = "ERROR" }"#, "{name}");
        assert_eq!(named(&filter["DestinationArn"]), "ReportErrors", "{name}");
        assert_eq!(template["Resources"][name]["DependsOn"], "LogsToReportErrors", "{name}");
        assert!(reported.insert(named(&filter["LogGroupName"])), "{name}");
    }
    let logs = resources(&template, "AWS::Serverless::Function").into_iter();
    let logs = logs.map(|(_, function)| named(&function["LoggingConfig"]["LogGroup"]));
    assert_eq!(reported, logs.filter(|log| log != "ReportErrorsLog").collect());
    // And nothing that has to do with it without the condition.
    for (name, resource) in template["Resources"].as_mapping().unwrap() {
        let all = format!("{}: {}", name.as_str().unwrap(), text(resource));
        let is_of_it = all.contains("ReportErrors") || all.contains("SentryDsn");
        assert!(!is_of_it || resource["Condition"] == "HasSentry", "{name:?}");
    }
    let function = &template["Resources"]["ReportErrors"]["Properties"];
    assert_eq!(function["DeploymentPreference"]["PassthroughCondition"], true);
    let permission = &template["Resources"]["LogsToReportErrors"]["Properties"];
    assert_eq!(permission["Principal"], "logs.amazonaws.com");
    assert_eq!(text(&permission["SourceAccount"]).trim(), "!Ref AWS::AccountId");
    assert!(text(&permission["SourceArn"]).contains(":${AWS::AccountId}:log-group:${AWS::StackName}-"));
}

#[test]
fn no_caller_of_the_user_pool_writes_what_it_may() {
    let template = template();
    let clients = resources(&template, "AWS::Cognito::UserPoolClient");
    assert_eq!(clients.len(), 2);
    for (name, client) in clients {
        assert_eq!(text(&client["WriteAttributes"]), "- nickname\n", "{name}");
    }
    let pool = &template["Resources"]["CallersPool"]["Properties"];
    assert_eq!(pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"], true);
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
