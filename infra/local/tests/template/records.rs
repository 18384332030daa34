//! What is kept: tables, queues, buckets, keys.

use crate::{resources, template, text};

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
fn the_key_of_the_seals_is_rotated_by_aws_and_outlives_the_stack() {
    let template = template();
    let key = &template["Resources"]["TokenKey"];
    assert_eq!(key["Properties"]["EnableKeyRotation"], true);
    assert_eq!((&key["DeletionPolicy"], &key["UpdateReplacePolicy"]), (&"Retain".into(), &"Retain".into()));
}
