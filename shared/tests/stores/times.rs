//! Times that clients may name and no row has.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use postrider_shared::{
    audit::{AuditActor, AuditFilter, AuditKind, AuditOutcome, AuditedRequest, Happened},
    database::{Cursor, MAX_PAGE},
    dead_letters::DeadLetterFilter,
};

use crate::scene::{Scene, on_both, plate};

on_both!(a_cursor_of_any_time_is_a_place_or_none, a_filter_of_any_time_is_none_or_all);

async fn a_cursor_of_any_time_is_a_place_or_none(scene: Scene) {
    let products = &scene.stores.products;
    products.create(scene.tenant, plate()).await.unwrap();
    let year = 366 * 86_400 * 1_000_000_i64;
    let mut places = 0;
    for micros in
        [i64::MIN, -260_000 * year, -7_000 * year, -1, 0, 7_000 * year, 8_100 * year, 260_000 * year, i64::MAX]
    {
        let text = URL_SAFE_NO_PAD.encode([micros.to_be_bytes().as_slice(), &[0xff; 16]].concat());
        let Ok(cursor) = text.parse::<Cursor>() else { continue };
        places += 1;
        assert_eq!(cursor.to_string(), text);
        let page = products.list(scene.tenant, Some(cursor), 10).await.unwrap();
        assert_eq!(page.items.len(), usize::from(micros > 0), "{micros}");
    }
    assert!(places >= 3, "{places}");
    assert_eq!(products.list(scene.tenant, None, u64::MAX).await.unwrap().items.len(), 1, "at most {MAX_PAGE}");
}

async fn a_filter_of_any_time_is_none_or_all(scene: Scene) {
    let request = AuditedRequest {
        actor: AuditActor::System,
        tenant: Some(scene.tenant),
        request_id: String::new(),
        ip: None,
        operation: "test".to_owned(),
        resource: "tests".to_owned(),
        subject_id: None,
    };
    let (kind, outcome) = (AuditKind::Change, AuditOutcome::Done);
    let event = Happened { request, at: scene.now(), kind, outcome, user: None, times: 1, after: None };
    scene.stores.audit.happened(&[event]).await.unwrap();
    for (text, is_early) in [
        ("-262143-01-01T00:00:00Z", true),
        ("-4800-01-01T00:00:00Z", true),
        ("0000-01-01T00:00:00Z", true),
        ("9999-12-31T23:59:60Z", false),
        ("+10000-01-01T00:00:00Z", false),
        ("+262142-12-31T23:59:59Z", false),
    ] {
        let time: DateTime<Utc> = text.parse().unwrap();
        for (from, until, many) in [(Some(time), None, is_early), (None, Some(time), !is_early)] {
            let filter = AuditFilter { from, until, ..AuditFilter::default() };
            let found = scene.stores.audit.list(&filter, None, 10).await.unwrap().items;
            assert_eq!(found.len(), usize::from(many), "{filter:?}");
            let filter = DeadLetterFilter { died_after: from, died_before: until, ..DeadLetterFilter::default() };
            scene.stores.dead_letters.list(scene.tenant, &filter, None, 10).await.unwrap();
        }
    }
}
