use super::*;
use crate::ports::{Download, MediaAddress, MediaGraph, SampleFile};

fn address(server: &Scripted, path: &str) -> MediaAddress {
    MediaAddress(server.url.join(path).unwrap().into())
}

async fn download(graph: &Graph, address: &MediaAddress) -> Result<Download, GraphError> {
    graph.download_media(address, 10, &token()).await
}

#[tokio::test]
async fn a_files_facts_are_read_as_number_or_text() {
    for size in [json!(7), json!("7")] {
        let found = json!({"url": "https://lookaside.fbsbx.com/x", "mime_type": "image/jpeg", "sha256": "ab",
            "file_size": size, "id": "88"});
        let (server, graph) = answering([found]);
        let info = graph.media_info(&phone(), &"88".parse().unwrap(), &token()).await.unwrap();
        assert_eq!(
            (info.size, info.mime_type.as_deref(), info.sha256.as_deref()),
            (Some(7), Some("image/jpeg"), Some("ab"))
        );
        assert!(!format!("{info:?}").contains("lookaside"), "{info:?}");
        let request = server.requests().remove(0);
        assert_eq!(
            (asked(&request), request.query("phone_number_id")),
            (("GET", "/v26.0/88"), Some("117".to_owned()))
        );
    }
    let (_server, graph) = answering([json!({"id": "88"})]);
    assert!(graph.media_info(&phone(), &"88".parse().unwrap(), &token()).await.is_err());
}

#[tokio::test]
async fn bytes_come_with_the_token_and_at_most_as_many_as_wanted() {
    let server = Scripted::start(|request| match request.target.path() {
        "/small" => Act::Answer(200, "image/png", "0123456789".to_owned()),
        "/large" => Act::Answer(200, "image/png", "0123456789+".to_owned()),
        "/old" => Act::Answer(404, "text/plain", String::new()),
        "/moved" => Act::Answer(302, "text/plain", String::new()),
        _ => Act::Answer(500, "text/plain", String::new()),
    });
    let graph = graph(server.url.clone());
    let of = async |path: &str| download(&graph, &address(&server, path)).await;
    assert_eq!(of("small").await.unwrap(), Download::Complete(b"0123456789".to_vec()));
    assert_eq!(of("large").await.unwrap(), Download::TooLarge);
    assert_eq!(of("old").await.unwrap(), Download::Gone);
    for path in ["moved", "else"] {
        let error = of(path).await.unwrap_err();
        assert!(!matches!(error, GraphError::Refused(_)), "{error:?}");
    }
    let request = server.requests().remove(0);
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert!(request.header("user-agent").is_some(), "some of Meta's servers want one");
}

#[tokio::test]
async fn the_token_goes_nowhere_but_to_meta() {
    let server = Scripted::start(|_| Act::Answer(200, "image/png", "x".to_owned()));
    let elsewhere = Scripted::start(|_| Act::Answer(200, "image/png", "x".to_owned()));
    let graph = graph(server.url.clone());
    for foreign in [
        elsewhere.url.as_str(),
        "http://lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com:8443/x",
        "https://lookaside.fbsbx.com.evil.example/x",
        "https://evil-lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com@evil.example/x",
        "file:///etc/passwd",
        "nonsense",
    ] {
        let error = download(&graph, &MediaAddress(foreign.to_owned())).await.unwrap_err();
        assert!(matches!(error, GraphError::NotSent(_)), "{foreign}: {error:?}");
        assert!(!Chain(&error).to_string().contains("evil"), "no address is in the log");
    }
    assert_eq!((server.requests().len(), elsewhere.requests().len()), (0, 0));
    for metas in ["https://lookaside.fbsbx.com/x?y", "https://a.lookaside.fbsbx.com:443/x"] {
        assert!(graph.may_have_token(&metas.parse().unwrap()), "{metas}");
    }
}

#[tokio::test]
async fn an_upload_is_a_form_with_the_file_as_it_is() {
    let (server, graph) = answering([json!({"id": 880_001})]);
    let file = SampleFile { name: "file", mime_type: "image/png", bytes: b"\x89PNG\r\n--not the end\r\n" };
    let id = graph.upload_media(&phone(), file, &token()).await.unwrap();
    assert_eq!(id.as_ref(), "880001");
    let request = server.requests().remove(0);
    assert_eq!(asked(&request), ("POST", "/v26.0/117/media"));
    let kind = request.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    assert!(boundary.len() <= 70, "RFC 2046 allows no longer one");
    let separator = format!("--{boundary}");
    let body = &request.body;
    let count = body.windows(separator.len()).filter(|part| *part == separator.as_bytes()).count();
    assert_eq!(count, 4, "three fields and an end");
    let text = String::from_utf8_lossy(body);
    for part in [
        "name=\"messaging_product\"\r\n\r\nwhatsapp",
        "name=\"type\"\r\n\r\nimage/png",
        "Content-Type: image/png\r\n\r\n",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(body.windows(file.bytes.len()).any(|part| part == file.bytes));
}
