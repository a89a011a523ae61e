//! A conversation of 10,000 mails: what is asked of it costs what is shown, and the newest are shown.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend};

use crate::scene::{Scene, on_both};

on_both!(of_ten_thousand_mails_the_newest_are_shown);

const MAILS: u32 = 10_000;
const COLUMNS: &str = "tenant_id, account_id, thread_id, rfc_message_id, in_reply_to, \"references\", from_address, from_name, subject, \
    sent_at, received_at, raw_key, size, text, folder, uid_validity, state, intent, language, confidence, reason, created_at, updated_at";

async fn of_ten_thousand_mails_the_newest_are_shown(scene: Scene) {
    let account = scene.account().await;
    let first = scene.mail(&account, 1).await;
    let connection = scene.database.reader();
    let id =
        if connection.get_database_backend() == DbBackend::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" };
    let copies = format!(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {MAILS}) \
         INSERT INTO inbound_mails (id, dedupe_key, uid, {COLUMNS}) \
         SELECT {id}, 'copy ' || n.i, n.i, {COLUMNS} FROM inbound_mails, n WHERE uid = 1"
    );
    assert_eq!(connection.execute_unprepared(&copies).await.unwrap().rows_affected(), u64::from(MAILS) - 1);
    let mut newest = Vec::new();
    for uid in MAILS + 1..=MAILS + 3 {
        scene.clock.advance(Duration::from_secs(1));
        let mut mail = scene.new_mail(&account, uid);
        // As many ancestors as a long thread names.
        mail.references =
            (0..10_000).map(|at| format!("{at}@thread.example")).chain(["1@customer.example".to_owned()]).collect();
        newest.push(scene.stores.mail.record(scene.tenant, mail, Vec::new()).await.unwrap().mail().clone());
    }
    assert!(newest.iter().all(|mail| mail.thread_id == first.thread_id && mail.references.0.len() == 100));
    let last = newest.last().unwrap();
    let earlier = scene.stores.mail.earlier(scene.tenant, last.thread_id, last.created_at, 5).await.unwrap();
    assert_eq!(earlier.len(), 5);
    assert_eq!((earlier[0].id, earlier[1].id), (newest[1].id, newest[0].id));
    let shown = scene.stores.mail.of_thread(scene.tenant, last.thread_id).await.unwrap();
    assert_eq!((shown.len(), shown.last().unwrap().id), (200, last.id));
    let mut seen = 0;
    let mut cursor = None;
    loop {
        let page = scene.stores.mail.list(scene.tenant, None, cursor, 200).await.unwrap();
        seen += page.items.len();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, 10_003);
}
