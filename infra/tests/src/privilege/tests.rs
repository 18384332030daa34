use serde_json::{Value, json};

use super::{Call, Exceptions, Ledger};

/// A template of one function that reads a table, is fed from a queue and opens tokens.
fn template() -> Value {
    json!({"Resources": {
        "Reader": {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::GetAtt": ["ReaderRole", "Arn"]}}},
        "Feed": {"Type": "AWS::Lambda::EventSourceMapping", "Properties":
            {"EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]}, "FunctionName": {"Ref": "Reader"}}},
        "ReaderRole": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": {"Statement": [{"Principal": {"Service": ["lambda.amazonaws.com"]}}]},
            "Policies": [{"PolicyDocument": {"Statement": [
                {"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": {"Fn::GetAtt": ["Table", "Arn"]}},
                {"Effect": "Allow", "Action": ["dynamodb:Query"], "Resource": [{"Fn::Sub": "${Table.Arn}/index/due"}]},
                {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": {"Fn::Sub": "${Bucket.Arn}/*"}},
                {"Effect": "Allow", "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
                    "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}},
                {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": {"Fn::GetAtt": ["Key", "Arn"]}, "Condition": {
                    "ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["switchboard:grant"]},
                    "StringEquals": {"kms:EncryptionContext:switchboard:field": "business_token"}}},
            ]}}],
        }},
    }})
}

fn statements(template: &mut Value) -> &mut Vec<Value> {
    template["Resources"]["ReaderRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        .as_array_mut()
        .unwrap()
}

fn call(action: &str, resource: &str, sealed: &[&str]) -> Call {
    let sealed = sealed.iter().map(|&it| it.to_owned()).collect();
    Call { role: "ReaderRole".to_owned(), action: action.to_owned(), resource: resource.to_owned(), sealed }
}

const TOKEN: [&str; 2] = ["switchboard:field=business_token", "switchboard:grant"];

/// What uses all of it.
fn run() -> Vec<Call> {
    vec![
        call("dynamodb:GetItem", "Table", &[]),
        call("dynamodb:Query", "Table/index/due", &[]),
        call("s3:GetObject", "Bucket/folder/file", &[]),
        call("kms:Decrypt", "Key", &TOKEN),
    ]
}

fn exceptions(unused: &Value) -> Exceptions {
    serde_json::from_value(json!({"managedPolicies": {}, "stars": {"Bucket/*": "Files."}, "unused": unused}))
        .unwrap()
}

fn ledger(template: &Value) -> Ledger {
    Ledger::new(template, exceptions(&json!([])))
}

#[test]
fn a_run_that_uses_every_grant_and_nothing_else_is_fine() {
    let ledger = ledger(&template());
    assert_eq!(ledger.problems, Vec::<String>::new());
    assert_eq!(ledger.compare(&run()), Vec::<String>::new());
}

#[test]
fn a_grant_taken_away_is_named_with_its_function_action_and_resource() {
    let mut template = template();
    statements(&mut template).remove(1);
    let problems = ledger(&template).compare(&run());
    assert_eq!(problems, ["Reader: dynamodb:Query on Table/index/due was called and is not granted"]);
}

#[test]
fn a_grant_that_nobody_uses_is_named() {
    let mut template = template();
    statements(&mut template)[0]["Action"] = json!(["dynamodb:GetItem", "dynamodb:DeleteItem"]);
    let problems = ledger(&template).compare(&run());
    assert_eq!(problems, ["Reader: dynamodb:DeleteItem on Table is granted and nothing used it"]);
}

#[test]
fn a_secret_of_another_kind_is_neither_granted_nor_the_use_of_a_grant() {
    let mut calls = run();
    calls[3].sealed[0] = "switchboard:field=pin".to_owned();
    assert_eq!(
        ledger(&template()).compare(&calls),
        [
            "Reader: kms:Decrypt on Key (switchboard:field=pin, switchboard:grant) was called and is not granted",
            "Reader: kms:Decrypt on Key (the `business_token` of a `switchboard:grant`) is granted and nothing used it",
        ]
    );
}

#[test]
fn a_grant_of_kms_without_both_parts_of_its_binding_is_a_problem() {
    for part in ["ForAnyValue:StringEquals", "StringEquals"] {
        let mut template = template();
        statements(&mut template)[4]["Condition"].as_object_mut().unwrap().remove(part);
        assert_eq!(
            ledger(&template).problems,
            ["Reader: kms:Decrypt on Key is bound to no encryption context"]
        );
    }
}

#[test]
fn a_star_needs_a_reason_and_an_action_never_has_one() {
    let mut template = template();
    statements(&mut template)[0]["Action"] = json!(["dynamodb:*"]);
    statements(&mut template)[2]["Resource"] = json!("*");
    let mut problems = ledger(&template).problems;
    problems.sort();
    assert_eq!(
        problems,
        [
            "Reader: dynamodb:* on Table has a star for an action",
            "Reader: s3:GetObject on *: nobody gave a reason for the star",
        ]
    );
}

#[test]
fn what_aws_needs_to_feed_a_function_is_missed_though_no_run_shows_it() {
    let mut template = template();
    statements(&mut template)[3]["Action"] = json!(["sqs:ReceiveMessage", "sqs:GetQueueAttributes"]);
    assert_eq!(ledger(&template).problems, ["Reader: sqs:DeleteMessage on Queue is missing: Feed needs it"]);
}

#[test]
fn the_same_grant_twice_is_a_problem() {
    let mut template = template();
    let first = statements(&mut template)[0].clone();
    statements(&mut template).push(first);
    assert_eq!(ledger(&template).problems, ["Reader: dynamodb:GetItem on Table is granted twice"]);
}

#[test]
fn a_reason_excuses_an_unused_grant_until_something_uses_it_or_nothing_grants_it() {
    let unused = json!([{"of": "Reader", "action": "dynamodb:GetItem", "resource": "Table", "reason": "Only in disasters."}]);
    let calls = run();
    let excused = Ledger::new(&template(), exceptions(&unused));
    assert_eq!(excused.compare(&calls[1..]), Vec::<String>::new());
    assert_eq!(
        excused.compare(&calls),
        ["Reader: dynamodb:GetItem on Table is used: privilege.json need not excuse it"]
    );

    let mut rare = unused.clone();
    rare[0]["rare"] = true.into();
    let rare = Ledger::new(&template(), exceptions(&rare));
    assert_eq!((rare.compare(&calls), rare.compare(&calls[1..])), (vec![], vec![]));

    let mut template = template();
    statements(&mut template).remove(0);
    let gone = Ledger::new(&template, exceptions(&unused)).problems;
    assert_eq!(gone, ["privilege.json excuses Reader: dynamodb:GetItem on Table, which nobody grants"]);
}

#[test]
fn the_page_has_a_line_for_each_resource_with_who_uses_it() {
    let page = ledger(&template()).report();
    for line in [
        "### Reader",
        "| `Table` | `dynamodb:GetItem` |  | the run |",
        "| `Queue` | `sqs:DeleteMessage`, `sqs:GetQueueAttributes`, `sqs:ReceiveMessage` |  | AWS, to feed the function |",
        "| `Key` | `kms:Decrypt` | the `business_token` of a `switchboard:grant` | the run |",
    ] {
        assert!(page.lines().any(|it| it == line), "no {line} in\n{page}");
    }
}
