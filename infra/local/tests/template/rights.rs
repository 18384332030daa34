//! What each role may do, and who may use the keys.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

use crate::{resources, statements, template, text};

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
