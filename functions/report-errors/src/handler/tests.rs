use std::cell::RefCell;

use shared::domain::raw::gzip;

use super::*;

const EVENT: &str = include_str!("../../../../events/report-errors.json");

fn deployment() -> Deployment {
    Deployment { environment: "prod".to_owned(), release: "0123abc".to_owned() }
}

fn event(batch: &Value) -> Value {
    json!({ "awslogs": { "data": STANDARD.encode(gzip(batch.to_string().as_bytes())) } })
}

/// A batch of these lines.
fn lines(lines: &[Value]) -> Value {
    let events = lines.iter().enumerate();
    let events: Vec<_> = events
        .map(|(id, line)| json!({ "id": id.to_string(), "timestamp": 1_795_339_800_123_i64, "message": line.to_string() }))
        .collect();
    event(
        &json!({ "messageType": "DATA_MESSAGE", "logGroup": "my-stack-IngestLog-4fQx", "logEvents": events }),
    )
}

fn error(more: Value) -> Value {
    let mut line =
        json!({ "timestamp": "2026-11-22T09:30:00Z", "level": "ERROR", "target": "ingest", "message": "no" });
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

/// What comes of an event, and what was sent, where the answer to the n-th envelope is given.
async fn handled(
    event: &Value,
    answer: impl Fn(usize) -> Result<(), SentryError>,
) -> (Result<Value, SentryError>, Vec<String>) {
    let sent = RefCell::new(Vec::new());
    let send = async |envelope: Vec<u8>| {
        let mut sent = sent.borrow_mut();
        sent.push(String::from_utf8(envelope).unwrap());
        answer(sent.len())
    };
    let result = handle(send, &deployment(), event).await;
    (result, sent.into_inner())
}

/// The events in envelopes, which must be of their form.
fn payloads(envelopes: &[String]) -> Vec<Value> {
    let payload = |envelope: &String| {
        let [header, item, payload] = envelope.lines().collect::<Vec<_>>()[..] else { panic!("{envelope}") };
        let [header, item]: [Value; 2] = [header, item].map(|text| serde_json::from_str(text).unwrap());
        assert_eq!((&item["type"], &item["length"]), (&"event".into(), &payload.len().into()));
        let payload: Value = serde_json::from_str(payload).unwrap();
        assert_eq!(payload["event_id"], header["event_id"]);
        payload
    };
    envelopes.iter().map(payload).collect()
}

#[tokio::test]
async fn the_sample_becomes_exactly_these_envelopes() {
    let (result, sent) = handled(&serde_json::from_str(EVENT).unwrap(), |_| Ok(())).await;
    assert_eq!(result.unwrap(), json!({ "reported": 2 }));
    assert_eq!(sent.concat(), include_str!("envelopes.txt"));
    payloads(&sent);
}

#[tokio::test]
async fn an_event_has_no_field_that_a_log_line_may_not_have() {
    let more = json!({ "text": "Hello, I am Ana", "phone": "+15550001111", "error": { "text": "Hello" },
        "reason": ["Hello"], "botId": "b".repeat(300), "metaCode": 131_047, "saved": false });
    let (_, sent) = handled(&lines(&[error(more)]), |_| Ok(())).await;
    let [event] = &payloads(&sent)[..] else { panic!("{sent:?}") };
    assert!(!sent[0].contains("Hello") && !sent[0].contains("555"), "{}", sent[0]);
    assert_eq!(
        event["tags"],
        json!({ "function": "Ingest", "metaCode": "131047", "botId": "b".repeat(200) })
    );
    assert_eq!(event["extra"], json!({ "saved": false }));
    assert_eq!((&event["environment"], &event["release"]), (&"prod".into(), &"0123abc".into()));
}

#[tokio::test]
async fn the_same_line_is_the_same_event_and_another_one_is_not() {
    let batch = lines(&[error(json!({})), error(json!({}))]);
    let (_, sent) = handled(&batch, |_| Ok(())).await;
    assert_eq!(handled(&batch, |_| Ok(())).await.1, sent);
    let events = payloads(&sent);
    assert_ne!(events[0]["event_id"], events[1]["event_id"]);
    let id = events[0]["event_id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
}

#[tokio::test]
async fn what_is_no_error_of_ours_is_left_out() {
    let warning = json!({ "level": "WARN", "message": "no" });
    let (result, sent) =
        handled(&lines(&[json!("panicked at"), json!(["ERROR"]), warning]), |_| Ok(())).await;
    assert_eq!((result.unwrap(), sent.len()), (json!({ "reported": 0 }), 0));
}

#[tokio::test]
async fn a_control_message_and_what_cannot_be_read_send_nothing_and_do_not_come_again() {
    let control = json!({ "messageType": "CONTROL_MESSAGE", "logGroup": "", "logEvents":
        [{ "id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE: Checking health of destination Lambda." }] });
    let data = |data: &str| json!({ "awslogs": { "data": data } });
    // 64 MB of blanks in 64 kB.
    let bomb = data(&STANDARD.encode(gzip(&vec![b' '; 64 * 1024 * 1024])));
    for event in [event(&control), json!({}), data("?"), data("aGVsbG8="), event(&json!([])), bomb] {
        let (result, sent) = handled(&event, |_| Ok(())).await;
        assert_eq!((result.unwrap(), sent.len()), (json!({ "reported": 0 }), 0));
    }
}

#[tokio::test]
async fn the_batch_comes_again_where_sentry_may_take_it_later() {
    let batch = lines(&[error(json!({})), error(json!({})), error(json!({}))]);
    let second = |number| if number == 2 { Err(SentryError::NotNow(429)) } else { Ok(()) };
    let (result, sent) = handled(&batch, second).await;
    assert!(matches!(result, Err(SentryError::NotNow(429))), "{result:?}");
    assert_eq!(sent.len(), 2, "nobody is asked again who has just refused");
}

#[tokio::test]
async fn a_refused_event_does_not_hold_up_the_others() {
    let batch = lines(&[error(json!({})), error(json!({})), error(json!({}))]);
    let first = |number| if number == 1 { Err(SentryError::Refused(400)) } else { Ok(()) };
    let (result, sent) = handled(&batch, first).await;
    assert_eq!((result.unwrap(), sent.len()), (json!({ "reported": 2 }), 3));
}

#[tokio::test]
async fn one_batch_makes_a_bounded_number_of_events() {
    let all: Vec<Value> = (0..MOST + 10).map(|_| error(json!({}))).collect();
    let (result, sent) = handled(&lines(&all), |_| Ok(())).await;
    assert_eq!((result.unwrap(), sent.len()), (json!({ "reported": MOST }), MOST));
}

#[tokio::test(start_paused = true)]
async fn a_slow_sentry_gets_what_the_time_of_a_run_allows_and_the_run_ends_well() {
    let sent = RefCell::new(0);
    let slow = async |_: Vec<u8>| {
        tokio::time::sleep(Duration::from_secs(4)).await;
        *sent.borrow_mut() += 1;
        Ok(())
    };
    let all: Vec<Value> = (0..MOST).map(|_| error(json!({}))).collect();
    let begun = Instant::now();
    let result = handle(slow, &deployment(), &lines(&all)).await;
    assert_eq!((result.unwrap(), sent.into_inner()), (json!({ "reported": 12 }), 12));
    assert!(begun.elapsed() < Duration::from_secs(50));
}
