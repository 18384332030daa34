use super::*;
use crate::domain::template::{Category, Content, Status};
use crate::ports::{SampleFile, TemplateGraph};

#[tokio::test]
async fn a_template_is_asked_for_and_answers_its_id() {
    let (server, graph) = answering([json!({"id": 771, "status": "PENDING", "category": "MARKETING"})]);
    let template = json!({"name": "sale", "language": "en", "category": "UTILITY", "components": []});
    let created = graph.create_template(&waba(), &template, &token()).await.unwrap();
    assert_eq!((created.id.as_ref(), created.category.as_deref()), ("771", Some("MARKETING")));
    let request = server.requests().remove(0);
    assert_eq!(asked(&request), ("POST", "/v26.0/228/message_templates"));
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), template);
}

#[tokio::test]
async fn pages_are_read_leniently_and_lead_to_the_next() {
    let first = json!({"data": [
        {"id": "771", "name": "sale", "language": "en", "status": "REJECTED", "rejected_reason": "SCAM",
         "category": "UTILITY", "correct_category": "MARKETING", "quality_score": {"score": "GREEN", "date": 1},
         "parameter_format": "NAMED", "message_send_ttl_seconds": "600", "components": [{"type": "BODY", "text": "x"}]},
        {"id": 772, "name": "plain", "status": "APPROVED", "rejected_reason": "NONE", "category": "UTILITY",
         "correct_category": "UTILITY"},
        {"name": "without an id"},
    ], "paging": {"cursors": {"after": "c1"}, "next": "https://graph.example/?access_token=EAAhush"}});
    let last = json!({"data": [], "paging": {"cursors": {"after": "c2"}}});
    let (server, graph) = answering([first, last]);
    let page = graph.templates(&waba(), None, &token()).await.unwrap();
    assert_eq!((page.items.len(), page.next.as_deref()), (2, Some("c1")));
    let (rejected, plain) = (&page.items[0], &page.items[1]);
    assert_eq!(rejected.status, Some(Status { reason: Some("SCAM".to_owned()), ..Status::of("REJECTED") }));
    assert_eq!(rejected.category.as_ref().unwrap().coming.as_ref().unwrap().word, "MARKETING");
    let components = json!([{"type": "BODY", "text": "x"}]);
    let content = Content { components, parameter_format: Some("NAMED".to_owned()), ttl_seconds: Some(600) };
    assert_eq!((rejected.quality.as_deref(), &rejected.content), (Some("GREEN"), &Some(content)));
    assert_eq!(plain.status, Some(Status::of("APPROVED")));
    assert_eq!(plain.category, Some(Category { word: "UTILITY".to_owned(), coming: None }));
    assert_eq!(plain.content, None);
    let page = graph.templates(&waba(), Some("c1"), &token()).await.unwrap();
    assert_eq!((page.items.len(), page.next), (0, None));
    let asked = server.requests();
    assert_eq!((asked[0].query("after"), asked[1].query("after")), (None, Some("c1".to_owned())));
}

#[tokio::test]
async fn without_fields_that_this_version_lacks_the_page_is_asked_for_again() {
    let unknown = json!({"error": {"code": 100, "message": "(#100) Tried accessing nonexisting field"}});
    let (server, graph) = answering([unknown, json!({"data": [{"id": "1", "name": "a"}]})]);
    assert_eq!(graph.templates(&waba(), None, &token()).await.unwrap().items.len(), 1);
    let fields = server.requests().remove(1).query("fields").unwrap();
    assert!(fields.contains("components") && !fields.contains("correct_category"), "{fields}");
}

#[tokio::test]
async fn changes_go_to_the_template_and_deletions_to_its_name() {
    let done = || json!({"success": true});
    let (server, graph) = answering([done(), done(), done(), done()]);
    let (id, name) = ("771".parse().unwrap(), "sale".parse().unwrap());
    graph.edit_template(&id, &json!({"components": []}), &token()).await.unwrap();
    graph.unpause_template(&id, &token()).await.unwrap();
    graph.delete_template(&waba(), &name, None, &token()).await.unwrap();
    graph.delete_template(&waba(), &name, Some(&id), &token()).await.unwrap();
    let requests = server.requests();
    assert_eq!(asked(&requests[0]), ("POST", "/v26.0/771"));
    assert_eq!(asked(&requests[1]), ("POST", "/v26.0/771/unpause"));
    assert_eq!(asked(&requests[2]), ("DELETE", "/v26.0/228/message_templates"));
    assert_eq!((requests[2].query("name"), requests[2].query("hsm_id")), (Some("sale".to_owned()), None));
    assert_eq!(requests[3].query("hsm_id"), Some("771".to_owned()));
}

#[tokio::test]
async fn a_sample_goes_up_in_two_steps_with_the_tokens_other_scheme() {
    let (server, graph) =
        answering([json!({"id": "upload:MTphdHRhY2htZW50=?sig=ARZx"}), json!({"h": "4:aGFuZGxl"})]);
    let file = SampleFile { name: "cake 1.png", mime_type: "image/png", bytes: b"\x89PNG" };
    assert_eq!(graph.upload_sample(file, &token()).await.unwrap(), "4:aGFuZGxl");
    let requests = server.requests();
    assert_eq!(asked(&requests[0]), ("POST", "/v26.0/700/uploads"));
    assert_eq!(requests[0].query("file_name").as_deref(), Some("cake 1.png"));
    assert_eq!(requests[0].query("file_length").as_deref(), Some("4"));
    assert_eq!(asked(&requests[1]), ("POST", "/v26.0/upload:MTphdHRhY2htZW50="));
    assert_eq!(requests[1].query("sig").as_deref(), Some("ARZx"));
    assert_eq!(requests[1].header("authorization"), Some("OAuth EAAhush-client"));
    assert_eq!(requests[1].header("file_offset"), Some("0"));
    assert_eq!(requests[1].body, b"\x89PNG");
    assert!(requests.iter().all(|request| !request.target.as_str().contains("EAA")));
}
