//! Facts about `template.yaml` that neither the linter nor the local cloud checks.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test crate")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;
use shared::telemetry::fields::{FIELDS, is_allowed};
use shared::telemetry::{measure, metric};

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

/// What a function's role may do; `ReportErrors` needs nothing.
fn statements(function: &Value) -> impl Iterator<Item = &Value> {
    function["Policies"][0]["Statement"].as_sequence().into_iter().flatten()
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
        assert_eq!(text(&table["DeletionProtectionEnabled"]), "!If\n- IsProd\n- true\n- false\n", "{name}");
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST", "{name}");
        assert_eq!(table["SSESpecification"]["SSEEnabled"], true, "{name}");
        assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true, "{name}");
        assert_eq!(table["TimeToLiveSpecification"]["AttributeName"], "expiresAt", "{name}");
    }
}

#[test]
fn what_cannot_be_made_again_outlives_the_stack() {
    let template = template();
    for (name, resource) in template["Resources"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        let kinds = ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Cognito::UserPool"];
        if kinds.contains(&resource["Type"].as_str().unwrap()) {
            assert_eq!(resource["DeletionPolicy"], "Retain", "{name}");
            assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
        }
    }
}

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
/// change nothing: routes, schedules and queues lead to versions.
#[test]
fn each_setting_of_a_function_makes_a_new_version_when_it_changes() {
    let template = template();
    let functions = resources(&template, "AWS::Serverless::Function");
    let mut given = parameters_in(&template, &template["Globals"]["Function"]["Environment"]);
    for (_, function) in functions.iter().filter(|(name, _)| *name != "ReportErrors") {
        given.extend(parameters_in(&template, &function["Environment"]));
    }
    // Too long for a description of 256 characters (Release stands for it); and only for a local cloud.
    given.retain(|name| name != "Models" && name != "AwsEndpointUrl");
    given.insert("Release".to_owned());
    for (name, function) in functions {
        let shown = parameters_in(&template, &function["VersionDescription"]);
        if name == "ReportErrors" {
            // It reads its own settings only, of which no other function knows.
            assert_eq!(shown, parameters_in(&template, &function["Environment"]));
        } else {
            assert_eq!(shown, given, "{name}");
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
    for alarm in ["!Ref WebhookErrorsAlarm", "!Ref FunctionErrorsAlarm", "${AWS::StackName}-api-errors"] {
        assert!(rollout.contains(alarm), "{alarm}");
    }
    let name = &template["Resources"]["ApiErrorsAlarm"]["Properties"]["AlarmName"];
    assert!(text(name).contains("${AWS::StackName}-api-errors"));
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
fn no_function_may_touch_more_than_it_names() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        for statement in statements(function) {
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

/// For which secrets each function may use the token key, as `function action record field`.
fn uses_of_the_token_key(template: &Value) -> BTreeSet<String> {
    let mut uses = BTreeSet::new();
    for (name, function) in resources(template, "AWS::Serverless::Function") {
        for statement in statements(function) {
            if !text(&statement["Resource"]).contains("TokenKey") {
                continue;
            }
            let condition = statement["Condition"].as_mapping().unwrap();
            assert_eq!(condition.len(), 2, "{name}");
            let records = &condition["ForAnyValue:StringEquals"]["kms:EncryptionContextKeys"];
            let field =
                condition["StringEquals"]["kms:EncryptionContext:switchboard:field"].as_str().unwrap();
            for action in statement["Action"].as_sequence().unwrap() {
                for record in records.as_sequence().unwrap() {
                    let record = record.as_str().unwrap().trim_start_matches("switchboard:");
                    let action = action.as_str().unwrap().trim_start_matches("kms:");
                    uses.insert(format!("{name} {action} {record} {field}"));
                }
            }
        }
    }
    uses
}

#[test]
fn each_function_seals_and_opens_its_own_kinds_of_secrets_only() {
    let expected = [
        "DeliverEvents Decrypt subscription signing_secret",
        "ExchangeToken Encrypt onboarding business_token",
        "FetchMedia Decrypt grant business_token",
        "Media Decrypt grant business_token",
        "OnboardClient Decrypt client pin",
        "OnboardClient Decrypt grant business_token",
        "OnboardClient Decrypt onboarding business_token",
        "OnboardClient Decrypt onboarding pin",
        "OnboardClient Encrypt client pin",
        "OnboardClient Encrypt grant business_token",
        "OnboardClient Encrypt onboarding business_token",
        "OnboardClient Encrypt onboarding pin",
        "Reconcile Decrypt client pin",
        "Reconcile Decrypt grant business_token",
        "Reply Decrypt grant business_token",
        "SendMessage Decrypt grant business_token",
        "Subscriptions Decrypt subscription signing_secret",
        "Subscriptions Encrypt subscription signing_secret",
        "Templates Decrypt grant business_token",
        "TokenCare Decrypt grant business_token",
        "TokenCare Encrypt grant business_token",
    ];
    assert_eq!(uses_of_the_token_key(&template()), expected.map(str::to_owned).into());
}

#[test]
fn only_s3_uses_the_files_key_for_a_function_and_functions_name_the_token_key_by_its_arn() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        for statement in statements(function) {
            if text(&statement["Resource"]).contains("MediaKey") {
                let service = text(&statement["Condition"]["StringEquals"]["kms:ViaService"]);
                assert!(service.contains("s3.${AWS::Region}"), "{name}: {service}");
            }
        }
        // AWS judges a call by the key that an alias leads to, the local cloud by the alias.
        let key = &function["Environment"]["Variables"]["TOKEN_KEY_ID"];
        assert!(key.is_null() || text(key).contains("TokenKey.Arn"), "{name}: {key:?}");
    }
}

#[test]
fn keys_are_opened_to_roles_of_this_account_by_their_own_policies_and_to_nobody_else() {
    let template = template();
    let keys = resources(&template, "AWS::KMS::Key");
    assert!(!keys.is_empty());
    for (name, key) in keys {
        assert_eq!(key["EnableKeyRotation"], true, "{name}");
        let statements = key["KeyPolicy"]["Statement"].as_sequence().unwrap();
        for statement in statements.iter().filter(|it| it["Effect"] == "Allow") {
            // One principal: no service, no other account, no star.
            assert_eq!(statement["Principal"].as_mapping().unwrap().len(), 1, "{name}");
            let principal = text(&statement["Principal"]["AWS"]);
            assert!(principal.contains("${AWS::AccountId}:root"), "{name}: {principal}");
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

#[test]
fn the_key_of_the_seals_is_rotated_by_aws_and_outlives_the_stack() {
    let template = template();
    let key = &template["Resources"]["TokenKey"];
    assert_eq!(key["Properties"]["EnableKeyRotation"], true);
    assert_eq!((&key["DeletionPolicy"], &key["UpdateReplacePolicy"]), (&"Retain".into(), &"Retain".into()));
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
