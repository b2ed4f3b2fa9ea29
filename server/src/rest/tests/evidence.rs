use fieldbook_core::document::{Edit, NoClocks};
use fieldbook_core::ids::{DocId, EntryId, Hash32};
use fieldbook_core::limits::EVIDENCE_PART_BYTES as PART;
use fieldbook_core::model::{Decision, RulingModel};
use fieldbook_core::sync::message::Verdict;
use sha2::{Digest, Sha256};

use super::*;

fn photo(bytes: usize) -> (Vec<u8>, Hash32) {
    let photo: Vec<u8> = (0..bytes).map(|i| (i % 253) as u8).collect();
    let hash = Hash32(Sha256::digest(&photo).into());
    (photo, hash)
}

async fn put(office: &Office, who: &Who, hash: Hash32, total: usize, offset: usize, part: &[u8]) -> Reply {
    office.bytes("PUT", &format!("/api/evidence/{hash}?total={total}&offset={offset}"), who, part).await
}

/// A phone notes the photo in the lead's evidence log.
fn name_in(office: &Office, who: &Who, lead: &str, hash: Hash32, entry: u8) {
    let body = json!({"hash": hash, "size_bytes": 1}).to_string();
    let edit = Edit::Append { log: "evidence".into(), id: EntryId([entry; 16]), body };
    let change = phone::edited(office, who, lead.parse().unwrap(), edit, entry.into());
    assert!(matches!(phone::push(office, who, change), Verdict::Durable { .. }));
}

#[tokio::test]
async fn a_photo_goes_up_in_parts_and_comes_down_through_the_lead_that_names_it() {
    let office = Office::open().await;
    let (li, han) = (office.person("李雷", "rep", None).await, office.person("韩梅梅", "rep", None).await);
    let lead = office.lead("医院", &li).await;
    let other = office.lead("别的医院", &han).await;
    let (photo, hash) = photo(2 * PART + 10);
    let total = photo.len();
    assert_eq!(
        put(&office, &li, hash, total, 0, &photo[..PART]).await.json(),
        json!({"state": "partial", "received_bytes": PART})
    );
    let gap = put(&office, &li, hash, total, 2 * PART, &photo[2 * PART..]).await;
    assert_eq!((gap.status, gap.problem().as_str()), (StatusCode::CONFLICT, "evidence_gap"));
    assert_eq!(gap.json()["received_bytes"], PART);
    put(&office, &li, hash, total, PART, &photo[PART..2 * PART]).await;
    let done = put(&office, &li, hash, total, 2 * PART, &photo[2 * PART..]).await.json();
    assert_eq!(done, json!({"state": "acknowledged"}));
    assert_eq!(office.get(&format!("/api/evidence/{hash}/progress"), &li).await.json(), done);
    let foreign = office.get(&format!("/api/evidence/{hash}/progress"), &han).await.json();
    assert_eq!(
        foreign,
        json!({"state": "partial", "received_bytes": 0}),
        "whether it exists is nobody else's business"
    );

    let through = |lead: &str| format!("/api/evidence/{hash}?document={lead}");
    assert_eq!(
        office.get(&through(&lead), &li).await.status,
        StatusCode::NOT_FOUND,
        "no document names it yet"
    );
    name_in(&office, &li, &lead, hash, 7);
    let whole = office.get(&through(&lead), &li).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert!(whole.body == photo, "the bytes come back as they went");
    assert_eq!(whole.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(
        office.get(&through(&lead), &han).await.status,
        StatusCode::NOT_FOUND,
        "not through a lead that she may not read"
    );
    assert_eq!(
        office.get(&through(&other), &han).await.status,
        StatusCode::NOT_FOUND,
        "not through a lead that does not name it"
    );
    name_in(&office, &han, &other, hash, 8);
    assert_eq!(
        office.get(&through(&other), &han).await.status,
        StatusCode::NOT_FOUND,
        "whoever has heard of a hash and names it, without having the bytes, reads nothing"
    );

    let rest = Request::builder().uri(through(&lead)).header(header::RANGE, format!("bytes={}-", 2 * PART));
    let rest =
        rest.header(header::AUTHORIZATION, format!("Bearer {}", li.token)).body(Body::empty()).unwrap();
    let rest = office.send(rest).await;
    assert_eq!(rest.status, StatusCode::PARTIAL_CONTENT);
    assert!(rest.body == photo[2 * PART..]);
    assert_eq!(rest.headers[header::CONTENT_RANGE], format!("bytes {}-{}/{total}", 2 * PART, total - 1));
}

/// O5: that the bytes have come stands in the lead's ruling, whether it was noted when they came or when the phone asked how far they are.
#[tokio::test]
async fn bytes_that_have_come_are_recorded_in_the_lead() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let lead: DocId = office.lead("医院", &li).await.parse().unwrap();
    for (n, by_upload) in [(1_u8, true), (2, false)] {
        let (photo, hash) = photo(100 + usize::from(n));
        let (total, name) = (photo.len(), "现场.jpg");
        let body = json!({"hash": hash, "size_bytes": total, "mime": "image/jpeg", "name": name, "captured_at_ms": 1});
        let edit = Edit::Append { log: "evidence".into(), id: EntryId([n; 16]), body: body.to_string() };
        let change = phone::edited(&office, &li, lead, edit, n.into());
        assert!(matches!(phone::push(&office, &li, change), Verdict::Durable { .. }));
        let is_recorded = || {
            while office
                .app
                .company
                .automate(&office.app.config.timezone, office.app.now_ms(), 64)
                .unwrap()
                .more
            {}
            let ruling = office.app.company.load(DocId::ruling_of(lead)).unwrap();
            let decisions = RulingModel::read(&ruling, &NoClocks).decisions;
            decisions.iter().any(|made| made.decision == Decision::Verified { hash })
        };
        assert!(!is_recorded());
        if by_upload {
            put(&office, &li, hash, total, 0, &photo).await;
        } else {
            // As after a restore, or when the process died in between: the bytes are here, and nothing says so.
            office.app.evidence.put_part(li.device, hash, total as u64, 0, &photo).unwrap();
            assert!(!is_recorded());
            office.get(&format!("/api/evidence/{hash}/progress"), &li).await;
        }
        assert!(is_recorded(), "{n}");
    }
}

#[tokio::test]
async fn bad_uploads_are_refused_and_lose_nothing() {
    let office = Office::open().await;
    let li = office.person("李雷", "rep", None).await;
    let (photo, hash) = photo(100);
    let wrong = put(&office, &li, hash, 100, 0, &[0; 100]).await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "evidence_hash"));
    let large = put(&office, &li, hash, 65 << 20, 0, &photo).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let part = put(&office, &li, hash, 1 << 20, 0, &vec![0; PART + 1]).await;
    assert_eq!((part.status, part.problem().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "bad_request"));
    for path in ["/api/evidence/..%2f..%2fstore.redb?total=1&offset=0", "/api/evidence/00?total=1&offset=0"] {
        assert_eq!(office.bytes("PUT", path, &li, b"x").await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let nobody =
        office.call("PUT", &format!("/api/evidence/{hash}?total=1&offset=0"), None, Value::Null).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(put(&office, &li, hash, 100, 0, &photo).await.json()["state"], "acknowledged");
}
