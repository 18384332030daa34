use std::net::UdpSocket;
use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use lambda_http::Body;
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;

use super::super::fields::is_allowed;
use super::super::metric;
use super::super::testing::Lines;
use super::*;
use crate::domain::meta_error::MetaError;
use crate::error::StoreError;
use crate::http::{ApiError, Response, StatusCode, serve, serve_quietly};
use crate::queue::each;

const HEADER: &str = "Root=1-65500000-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1";

fn bot_and_client() {
    bot(&"demo-bakery".parse().unwrap());
    client(&"10001".parse().unwrap());
}

fn request() -> lambda_http::Request {
    let event = json!({
        "version": "2.0", "routeKey": "POST /x/{phoneNumberId}", "rawPath": "/x/20002", "rawQueryString": "q=secret",
        "headers": {}, "isBase64Encoded": false, "pathParameters": {"phoneNumberId": "20002"},
        "requestContext": {"http": {"method": "POST", "path": "/x/20002", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
                           "stage": "$default", "timeEpoch": 0, "requestId": "api-1",
                           "routeKey": "POST /x/{phoneNumberId}"}
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

/// The only line, which has allowed fields only.
fn only(lines: &Lines) -> Value {
    let lines = lines.all();
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    for name in line.as_object().unwrap().keys() {
        let is_measure = measure::ALL.iter().any(|measure| measure.name == name) || name == "_aws";
        assert!(is_allowed(name) || is_measure, "{name} in {line}");
    }
    line.clone()
}

#[tokio::test]
async fn a_request_writes_one_line_with_whom_it_was_about_and_how_it_ended() {
    let (lines, _listening) = Lines::listen(LevelFilter::INFO);
    let handled = async {
        bot_and_client();
        message(&"msg_1".parse().unwrap());
        wamid(&"wamid.A".parse().unwrap());
        outcome("accepted");
        Ok(Response::new(Body::Empty))
    };
    serve(&request(), handled).await.unwrap();
    let line = only(&lines);
    assert_eq!(
        (&line["unit"], &line["outcome"], &line["status"]),
        (&json!("request"), &json!("accepted"), &json!(200))
    );
    assert_eq!((&line["botId"], &line["clientId"]), (&json!("demo-bakery"), &json!("20002 10001")));
    assert_eq!((&line["messageId"], &line["wamid"]), (&json!("msg_1"), &json!("wamid.A")));
    assert_eq!((&line["route"], &line["apiRequestId"]), (&json!("POST /x/{phoneNumberId}"), &json!("api-1")));
    assert!(line["durationMs"].is_u64() && line["level"] == "INFO", "{line}");
}

#[tokio::test]
async fn a_refused_request_is_told_by_its_code_and_a_failed_one_with_its_causes() {
    let (lines, _listening) = Lines::listen(LevelFilter::INFO);
    let refused = ApiError::not_found("bot_not_found").with_meta(&MetaError::of_code(131_047));
    serve(&request(), async { Err(refused) }).await.unwrap();
    let line = only(&lines);
    assert_eq!(
        (&line["outcome"], &line["status"], &line["metaCode"]),
        (&json!("bot_not_found"), &json!(404), &json!(131_047))
    );
    assert_eq!((&line["level"], &line["error"]), (&json!("INFO"), &Value::Null));

    let (lines, _listening) = Lines::listen(LevelFilter::INFO);
    serve(&request(), async { Err(StoreError::service("dynamodb GetItem", "down").into()) }).await.unwrap();
    let line = only(&lines);
    assert_eq!((&line["level"], &line["status"]), (&json!("ERROR"), &json!(503)));
    assert!(line["error"].as_str().unwrap().contains("down"), "{line}");
}

#[tokio::test]
async fn a_final_refusal_that_is_an_answer_is_told_by_its_code_too() {
    let (lines, _listening) = Lines::listen(LevelFilter::INFO);
    serve(&request(), async { Ok(ApiError::not_found("refused_by_meta").into_response()) }).await.unwrap();
    let line = only(&lines);
    assert_eq!((&line["outcome"], &line["status"]), (&json!("refused_by_meta"), &json!(404)));
}

#[tokio::test]
async fn a_quiet_request_writes_failures_only() {
    let (lines, _listening) = Lines::listen(LevelFilter::TRACE);
    let ok = async { Ok(Response::new(Body::Empty)) };
    assert_eq!(serve_quietly(&request(), ok).await.unwrap().status(), StatusCode::OK);
    assert!(lines.all().is_empty(), "{:?}", lines.all());
    serve_quietly(&request(), async { Err(ApiError::bad_signature()) }).await.unwrap();
    assert_eq!(only(&lines)["status"], 401);
}

fn event(records: &Value) -> SqsEvent {
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

#[tokio::test]
async fn each_message_of_a_queue_writes_one_line() {
    let (lines, _listening) = Lines::listen(LevelFilter::INFO);
    let record = |id| json!({"messageId": id, "attributes": {"ApproximateReceiveCount": "2"}});
    let job = async |message: &aws_lambda_events::sqs::SqsMessage| {
        bot_and_client();
        message_failed(131_047);
        outcome("answered");
        match message.message_id.as_deref() {
            Some("bad") => Err(StoreError::service("sqs", "down")),
            _ => Ok(()),
        }
    };
    each(event(&json!([record("good"), record("bad")])), || true, job).await;
    let lines = lines.all();
    let [good, bad] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (&good["unit"], &good["outcome"], &good["tries"]),
        (&json!("message"), &json!("answered"), &json!(2))
    );
    assert_eq!((&good["queueMessageId"], &good["metaCode"]), (&json!("good"), &json!(131_047)));
    assert_eq!((&bad["outcome"], &bad["level"]), (&json!("back_to_queue"), &json!("ERROR")));
    assert!(bad["error"].as_str().unwrap().contains("down"), "{bad}");
}

#[tokio::test]
async fn a_job_writes_one_line_under_its_name() {
    let (lines, _listening) = Lines::listen(LevelFilter::INFO);
    job("sweep", async { Ok::<_, StoreError>(()) }).await.unwrap();
    let line = only(&lines);
    assert_eq!(
        (&line["unit"], &line["job"], &line["outcome"]),
        (&json!("job"), &json!("sweep"), &json!("done"))
    );
}

#[tokio::test]
async fn what_is_measured_is_in_the_units_own_line() {
    let (lines, _listening) = Lines::listen(LevelFilter::ERROR);
    job("x", async {
        count(measure::RECEIVED, 2);
        count(measure::RECEIVED, 1);
        count(measure::SENT, 0);
        measured(measure::STORED_AGE, 900);
        measured(measure::STORED_AGE, 1100);
        Ok::<_, StoreError>(())
    })
    .await
    .unwrap();
    let line = only(&lines);
    assert_eq!((&line["MessagesReceived"], &line["StoredAge"]), (&json!(3), &json!([900, 1100])));
    let declared = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!((&declared["Namespace"], &declared["Dimensions"]), (&json!("Test"), &json!([[]])));
    let expected =
        json!([{"Name": "MessagesReceived", "Unit": "Count"}, {"Name": "StoredAge", "Unit": "Milliseconds"}]);
    assert_eq!(declared["Metrics"], expected);
    assert_eq!(line.get("MessagesSent"), None, "nothing is not counted");
}

#[tokio::test]
async fn failures_are_counted_by_code_each_code_in_a_line() {
    let (lines, _listening) = Lines::listen(LevelFilter::INFO);
    let work = async {
        [131_047, 131_026, 131_047, 999_999].into_iter().for_each(message_failed);
        Ok::<_, StoreError>(())
    };
    job("x", work).await.unwrap();
    let lines = lines.all();
    let counted: Vec<_> = lines.iter().map(|line| (&line["failedCode"], &line["MessagesFailed"])).collect();
    assert_eq!(
        counted,
        [(&json!("131026"), &json!(1)), (&json!("131047"), &json!(2)), (&json!("other"), &json!(1))]
    );
    for line in lines {
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[], ["failedCode"]]));
    }
}

#[test]
fn no_name_is_both_a_metric_that_rings_and_one_that_is_measured() {
    let names: std::collections::BTreeSet<_> =
        measure::ALL.map(|measure| measure.name).into_iter().chain(metric::ALL).collect();
    assert_eq!(names.len(), measure::ALL.len() + metric::ALL.len());
}

#[tokio::test]
async fn a_field_that_is_not_on_the_list_is_named_and_not_written() {
    let (lines, _listening) = Lines::listen(LevelFilter::INFO);
    tracing::info!(text = "Do you have rye bread?", "heard");
    let line = only(&lines);
    assert_eq!((&line["droppedField"], line.get("text")), (&json!("text"), None));
    assert!(!line.to_string().contains("rye"));
}

/// A daemon of X-Ray's: where it listens, and what it has heard.
fn daemon() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

#[tokio::test]
async fn a_message_of_a_traced_sender_is_a_segment_that_can_be_found_by_each_of_its_ids() {
    let (socket, address) = daemon();
    let (lines, _listening) = Lines::listen_with(LevelFilter::INFO, Some(&address));
    let record = json!({"messageId": "1", "attributes": {"AWSTraceHeader": HEADER}});
    let mut onward = None;
    each(
        event(&json!([record])),
        || true,
        async |_| {
            bot_and_client();
            wamid(&"wamid.A".parse().unwrap());
            wamid(&"wamid.B".parse().unwrap());
            outcome("answered");
            onward = trace();
            Ok(())
        },
    )
    .await;
    let mut datagram = vec![0; 64 * 1024];
    let length = socket.recv(&mut datagram).unwrap();
    let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
    let (header, segment) = text.split_once('\n').unwrap();
    assert_eq!(header, r#"{"format":"json","version":1}"#);
    let segment: Value = serde_json::from_str(segment).unwrap();
    assert_eq!(segment["trace_id"], "1-65500000-0123456789abcdef01234567");
    assert_eq!((&segment["parent_id"], segment.get("type")), (&json!("0123456789abcdef"), None));
    let noted = &segment["annotations"];
    assert_eq!(
        (&noted["wamid"], &noted["clientId"], &noted["outcome"]),
        (&json!("wamid.A"), &json!("10001"), &json!("answered"))
    );
    assert_eq!(segment["subsegments"][0]["annotations"], json!({"wamid": "wamid.B"}));
    let id = segment["id"].as_str().unwrap();
    assert_eq!(onward.unwrap().to_string(), HEADER.replace("0123456789abcdef;", &format!("{id};")));
    assert_eq!(only(&lines)["traceId"], segment["trace_id"]);
}

#[tokio::test]
async fn what_is_not_sampled_sends_nothing_and_carries_nothing_on() {
    let (socket, address) = daemon();
    let (_lines, _listening) = Lines::listen_with(LevelFilter::INFO, Some(&address));
    let header = HEADER.replace("Sampled=1", "Sampled=0");
    run("message", Some(&header), async { assert_eq!(trace(), None) }, |()| Some(End::well())).await;
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 8]).is_err());
}
