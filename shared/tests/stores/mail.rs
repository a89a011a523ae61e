use std::time::Duration;

use chrono::TimeDelta;
use postrider_shared::{
    database::{AllTenants, StoreError},
    mail::{
        Coverage, Epoch, Failing, Intent, MailState, NewMail, Numbering, Opened, Reading, Recorded, Settled, dedupe_key,
    },
};

use crate::scene::{Scene, on_both};

on_both!(
    a_mail_is_recorded_once_with_its_jobs,
    copies_that_arrive_together_are_one_record,
    replies_join_their_thread_in_any_order,
    replies_that_name_the_same_mails_arrive_together,
    a_folder_goes_on_where_it_was_read,
    a_folder_numbered_anew_replays_nothing,
    a_look_that_was_overtaken_moves_nothing,
    a_look_counts_from_when_it_began,
    failures_are_counted_for_one_mail_at_a_time,
    what_was_recorded_can_be_told_from_a_listing,
    strangers_text_fits_into_both_databases,
    a_mail_is_settled_once,
);

async fn a_mail_is_recorded_once_with_its_jobs(scene: Scene) {
    let account = scene.account().await;
    let mail = scene.new_mail(&account, 5);
    let job = scene.extract_job(&mail);
    scene.stores.mail.open_folder(scene.tenant, account.id, "INBOX", 7).await.unwrap();
    let first = scene.stores.mail.record(scene.tenant, mail.clone(), vec![job.clone()]).await.unwrap();
    let Recorded::New { mail: row, outbox } = first else { panic!("{first:?}") };
    assert_eq!(outbox.len(), 1);
    assert_eq!(scene.stores.mail.get(scene.tenant, row.id).await.unwrap(), *row);

    // The same mail again under another UID, as after a move between folders.
    let again = NewMail { uid: 9, ..mail };
    let second = scene.stores.mail.record(scene.tenant, again, vec![job]).await.unwrap();
    assert_eq!(second, Recorded::Known(row.clone()));
    assert_eq!(scene.stores.outbox.waiting(AllTenants, 10).await.unwrap().len(), 1);
    let cursors = scene.stores.mail.cursors(scene.tenant, account.id).await.unwrap();
    assert_eq!(cursors[0].last_uid, 9, "the place moves on over what is known");
    assert!(matches!(scene.stores.mail.get(scene.stranger, row.id).await, Err(StoreError::NotFound { .. })));
}

async fn copies_that_arrive_together_are_one_record(scene: Scene) {
    // A table has more than one index that tells copies apart, and which of them a copy meets first is a matter of microseconds.
    const MAILS: usize = 40;
    let account = scene.account().await;
    for uid in 1..=MAILS {
        let mail = NewMail {
            rfc_message_id: None,
            dedupe_key: dedupe_key(None, format!("Subject: {uid}\n\nbody").as_bytes()),
            ..scene.new_mail(&account, uid.try_into().unwrap())
        };
        let record = || scene.stores.mail.record(scene.tenant, mail.clone(), vec![scene.extract_job(&mail)]);
        let recorded = futures::future::join_all((0..8).map(|_| record())).await;
        let new = recorded.iter().filter(|recorded| matches!(recorded, Ok(Recorded::New { .. }))).count();
        let failed: Vec<_> = recorded.iter().filter_map(|recorded| recorded.as_ref().err()).collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(new, 1);
    }
    assert_eq!(scene.stores.mail.list(scene.tenant, None, None, 100).await.unwrap().items.len(), MAILS);
    assert_eq!(scene.stores.mail.threads(scene.tenant, None, 100).await.unwrap().items.len(), MAILS);
    assert_eq!(scene.stores.outbox.waiting(AllTenants, 100).await.unwrap().len(), MAILS);
}

async fn replies_that_name_the_same_mails_arrive_together(scene: Scene) {
    let account = scene.account().await;
    for round in 0..20 {
        let named: Vec<String> = (0..6).map(|n| format!("{round}.{n}@customer.example")).collect();
        let reply = |n: u32| {
            let mut references = named.clone();
            if n.is_multiple_of(2) {
                references.reverse();
            }
            NewMail { references, ..scene.new_mail(&account, 100 * (round + 1) + n) }
        };
        let records = (1..=6).map(|n| scene.stores.mail.record(scene.tenant, reply(n), Vec::new()));
        let recorded = futures::future::join_all(records).await;
        let failed: Vec<_> = recorded.iter().filter_map(|recorded| recorded.as_ref().err()).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
}

async fn replies_join_their_thread_in_any_order(scene: Scene) {
    let account = scene.account().await;
    let first = scene.mail(&account, 1).await;
    let record = |mail: NewMail| scene.stores.mail.record(scene.tenant, mail, Vec::new());
    let reply = NewMail { in_reply_to: Some("<1@customer.example>".to_owned()), ..scene.new_mail(&account, 2) };
    assert_eq!(record(reply).await.unwrap().mail().thread_id, first.thread_id);
    // It names an unknown mail first and a known one further back.
    let far = NewMail {
        in_reply_to: Some("lost@customer.example".to_owned()),
        references: vec!["2@customer.example".to_owned(), "lost@customer.example".to_owned()],
        ..scene.new_mail(&account, 3)
    };
    assert_eq!(record(far).await.unwrap().mail().thread_id, first.thread_id);
    // The lost one arrives late.
    let late = NewMail {
        rfc_message_id: Some("lost@customer.example".to_owned()),
        dedupe_key: "id:lost@customer.example".to_owned(),
        ..scene.new_mail(&account, 4)
    };
    let late = NewMail { references: vec!["lost@customer.example".to_owned()], ..late };
    assert_eq!(record(late).await.unwrap().mail().thread_id, first.thread_id);
    let other = scene.mail(&account, 6).await;
    assert_ne!(other.thread_id, first.thread_id);
    assert_eq!(scene.stores.mail.of_thread(scene.tenant, first.thread_id).await.unwrap().len(), 4);
    assert!(scene.stores.mail.of_thread(scene.stranger, first.thread_id).await.unwrap().is_empty());
}

async fn a_folder_goes_on_where_it_was_read(scene: Scene) {
    let account = scene.account().await;
    let mail = &scene.stores.mail;
    let open = || mail.open_folder(scene.tenant, account.id, "INBOX", 7);
    let opened = open().await.unwrap();
    assert!(matches!(&opened, Opened::First(cursor) if cursor.since == account.connected_at));
    assert_eq!(open().await.unwrap(), opened, "nothing was read yet");
    scene.clock.advance(Duration::from_mins(1));
    mail.polled(scene.tenant, account.id, ("INBOX", 7.into()), 40, scene.now()).await.unwrap();
    mail.polled(scene.tenant, account.id, ("INBOX", 7.into()), 30, scene.now()).await.unwrap();
    mail.polled(scene.tenant, account.id, ("INBOX", 6.into()), 99, scene.now()).await.unwrap();
    let opened = open().await.unwrap();
    let Opened::Continues(cursor) = opened else { panic!("{opened:?}") };
    assert_eq!((cursor.last_uid, cursor.last_polled_at), (40, Some(scene.now())));
}

/// A run is held up, and another finds the folder restored from a copy, or the account at another server, with the same UIDVALIDITY.
async fn a_look_that_was_overtaken_moves_nothing(scene: Scene) {
    let mail = &scene.stores.mail;
    let numbering = |uid_next| Numbering { uid_validity: 7, uid_next };
    for restored in [true, false] {
        let account = scene.account().await;
        let open = |uid_next| mail.open_folder(scene.tenant, account.id, "INBOX", numbering(uid_next));
        let first = open(Some(41)).await.unwrap().cursor().epoch;
        let first = Epoch { uid_validity: 7, epoch: first };
        mail.polled(scene.tenant, account.id, ("INBOX", first), 40, scene.now()).await.unwrap();
        if !restored {
            let mut settings = account.settings();
            "new.example".clone_into(&mut settings.imap.host);
            scene.change_account(&account, settings).await.unwrap();
        }
        let Opened::Reset { now, .. } = open(Some(20)).await.unwrap() else { panic!("restored: {restored}") };

        // The other mails 1 to 19 were not read yet, whatever the held up run did with those of before.
        let late = NewMail { epoch: first.epoch, ..scene.new_mail(&account, 19) };
        mail.record(scene.tenant, late, Vec::new()).await.unwrap();
        scene.clock.advance(Duration::from_mins(1));
        mail.polled(scene.tenant, account.id, ("INBOX", first), 45, scene.now()).await.unwrap();
        mail.settle_doubts(scene.tenant, account.id, ("INBOX", first)).await.unwrap();
        mail.keep_snapshot(scene.tenant, account.id, ("INBOX", first), Coverage::Whole, &[]).await.unwrap();
        mail.failed_at(scene.tenant, (account.id, "INBOX"), (first, 41), true).await.unwrap();
        assert_eq!(
            mail.cursors(scene.tenant, account.id).await.unwrap(),
            std::slice::from_ref(&now),
            "restored: {restored}"
        );

        let second = Epoch { uid_validity: 7, epoch: now.epoch };
        mail.polled(scene.tenant, account.id, ("INBOX", second), 19, scene.now()).await.unwrap();
        mail.settle_doubts(scene.tenant, account.id, ("INBOX", second)).await.unwrap();
        let Opened::Continues(cursor) = open(Some(20)).await.unwrap() else { panic!("restored: {restored}") };
        assert_eq!((cursor.last_uid, cursor.doubt_below), (19, 0));
    }
}

/// A run may be held up for long before it comes to its end: what came meanwhile was not seen.
async fn a_look_counts_from_when_it_began(scene: Scene) {
    let (account, mail) = (scene.account().await, &scene.stores.mail);
    let open = || mail.open_folder(scene.tenant, account.id, "INBOX", 7);
    open().await.unwrap();
    let began = scene.now();
    scene.clock.advance(Duration::from_hours(8));
    mail.polled(scene.tenant, account.id, ("INBOX", 7.into()), 40, scene.now()).await.unwrap();
    mail.polled(scene.tenant, account.id, ("INBOX", 7.into()), 41, began).await.unwrap();
    let cursor = open().await.unwrap().cursor().clone();
    assert_eq!((cursor.last_uid, cursor.last_polled_at), (41, Some(scene.now())), "a later look knows more");
}

async fn failures_are_counted_for_one_mail_at_a_time(scene: Scene) {
    let account = scene.account().await;
    let mail = &scene.stores.mail;
    let open = |validity: u32| mail.open_folder(scene.tenant, account.id, "INBOX", validity);
    let epoch = |uid_validity: u32| Epoch { uid_validity, epoch: i64::from(uid_validity == 8) };
    let failed = |key, counts| mail.failed_at(scene.tenant, (account.id, "INBOX"), key, counts);
    open(7).await.unwrap();
    let since = scene.now();
    assert_eq!(failed((epoch(7), 40), true).await.unwrap(), Failing { since, failures: 1 });
    scene.clock.advance(Duration::from_mins(1));
    assert_eq!(
        failed((epoch(7), 40), false).await.unwrap(),
        Failing { since, failures: 1 },
        "nothing else could be had"
    );
    assert_eq!(failed((epoch(7), 40), true).await.unwrap(), Failing { since, failures: 2 });
    let cursor = open(7).await.unwrap().cursor().clone();
    assert_eq!((cursor.failed_uid, cursor.failed_since, cursor.failures), (40, Some(since), 2));
    assert_eq!(cursor.last_uid, 0, "it is not passed over");
    assert_eq!(failed((epoch(7), 41), true).await.unwrap(), Failing { since: scene.now(), failures: 1 });
    assert_eq!(failed((epoch(6), 41), true).await.unwrap().failures, 0, "another mail had that number");
    let stranger = mail.failed_at(scene.stranger, (account.id, "INBOX"), (epoch(7), 41), true).await;
    assert!(matches!(stranger, Err(StoreError::NotFound { .. })), "{stranger:?}");
    let numbered_anew = open(8).await.unwrap();
    assert_eq!((numbered_anew.cursor().failed_uid, numbered_anew.cursor().failures), (0, 0));
    assert_eq!(failed((epoch(8), 41), true).await.unwrap().failures, 1);
}

async fn a_folder_numbered_anew_replays_nothing(scene: Scene) {
    let account = scene.account().await;
    let mail = &scene.stores.mail;
    mail.open_folder(scene.tenant, account.id, "INBOX", 7).await.unwrap();
    scene.clock.advance(Duration::from_hours(2));
    mail.polled(scene.tenant, account.id, ("INBOX", 7.into()), 40, scene.now()).await.unwrap();
    let polled_at = scene.now();
    scene.clock.advance(Duration::from_mins(10));
    let opened = mail.open_folder(scene.tenant, account.id, "INBOX", 8).await.unwrap();
    let Opened::Reset { before, now } = opened else { panic!("{opened:?}") };
    assert_eq!((before.uid_validity, before.last_uid), (7, 40));
    assert_eq!((now.uid_validity, now.last_uid), (8, 0));
    assert_eq!(now.since, polled_at - TimeDelta::hours(1));
    // What a crash right after finds.
    let opened = mail.open_folder(scene.tenant, account.id, "INBOX", 8).await.unwrap();
    assert_eq!((opened.cursor().since, opened.cursor().doubt_below), (now.since, now.doubt_below));
    assert!(now.doubt_below > i64::from(u32::MAX), "a server that tells no UIDNEXT leaves all of them in doubt");
    let second = Epoch { uid_validity: 8, epoch: 1 };
    mail.polled(scene.tenant, account.id, ("INBOX", second), 30, scene.now()).await.unwrap();
    mail.settle_doubts(scene.tenant, account.id, ("INBOX", second)).await.unwrap();
    // The same UIDVALIDITY with lower numbers: restored from a copy.
    let numbering = |uid_next| Numbering { uid_validity: 8, uid_next };
    for goes_on in [numbering(None), numbering(Some(0)), numbering(Some(31)), numbering(Some(99))] {
        let opened = mail.open_folder(scene.tenant, account.id, "INBOX", goes_on).await.unwrap();
        assert!(matches!(&opened, Opened::Continues(cursor) if cursor.doubt_below == 0), "{goes_on:?}: {opened:?}");
    }
    let opened = mail.open_folder(scene.tenant, account.id, "INBOX", numbering(Some(20))).await.unwrap();
    let Opened::Reset { now, .. } = opened else { panic!("{opened:?}") };
    assert_eq!((now.last_uid, now.doubt_below), (0, 20));
    let opened = mail.open_folder(scene.tenant, account.id, "INBOX", numbering(Some(20))).await.unwrap();
    assert!(matches!(opened, Opened::Continues(_)), "it is found once");
}

async fn what_was_recorded_can_be_told_from_a_listing(scene: Scene) {
    let account = scene.account().await;
    let recorded = scene.mail(&account, 3).await;
    let mail = &scene.stores.mail;
    assert_eq!(mail.latest_received(scene.tenant, account.id).await.unwrap(), Some(recorded.received_at));
    assert_eq!(mail.latest_received(scene.stranger, account.id).await.unwrap(), None);
    let around = |from: i64, to: i64| {
        (recorded.received_at + TimeDelta::seconds(from), recorded.received_at + TimeDelta::seconds(to))
    };
    let sightings = mail.sightings(scene.tenant, account.id, around(-1, 1)).await.unwrap();
    let [sighting] = sightings.as_slice() else { panic!("{sightings:?}") };
    let told = (sighting.received_at, sighting.size, sighting.rfc_message_id.as_str());
    assert_eq!(told, (recorded.received_at.timestamp(), 1_234, "3@customer.example"));
    assert!(mail.sightings(scene.tenant, account.id, around(1, 9)).await.unwrap().is_empty());
    assert!(mail.sightings(scene.stranger, account.id, around(-1, 1)).await.unwrap().is_empty());
    // One of the version before, whose key is the Message-ID alone: whatever has that is it.
    let again =
        NewMail { dedupe_key: dedupe_key(Some("3@customer.example"), b"\n\nother"), ..scene.new_mail(&account, 9) };
    let again = NewMail { rfc_message_id: Some("3@customer.example".to_owned()), ..again };
    assert!(matches!(mail.record(scene.tenant, again, Vec::new()).await.unwrap(), Recorded::Known(_)));
}

async fn strangers_text_fits_into_both_databases(scene: Scene) {
    let account = scene.account().await;
    let long = "x".repeat(5_000);
    let mail = NewMail {
        subject: format!("a\0b{long}"),
        text: format!("nul \0 and ümläut 🦀 {}", "y".repeat(600_000)),
        from_name: Some("\0".to_owned()),
        rfc_message_id: Some(long.clone()),
        dedupe_key: dedupe_key(Some(&long), b""),
        references: vec![long; 500],
        failure: Some("broken MIME\0".to_owned()),
        ..scene.new_mail(&account, 1)
    };
    let recorded = scene.stores.mail.record(scene.tenant, mail, Vec::new()).await.unwrap();
    let row = scene.stores.mail.get(scene.tenant, recorded.mail().id).await.unwrap();
    assert_eq!(row, *recorded.mail());
    assert_eq!((row.state, row.reason.as_deref()), (MailState::Failed, Some("broken MIME")));
    assert!(row.subject.starts_with("abx") && row.text.contains("ümläut 🦀"));
    assert!(row.references.0.len() <= 100);
}

async fn a_mail_is_settled_once(scene: Scene) {
    let account = scene.account().await;
    let mail = scene.mail(&account, 1).await;
    let reading = Reading { intent: Some(Intent::NotARequest), language: Some("de".to_owned()), confidence: Some(0.9) };
    let settled = scene.stores.mail.ignored(scene.tenant, mail.id, reading, "a newsletter").await.unwrap();
    let Settled::Now(row) = settled else { panic!("{settled:?}") };
    assert_eq!((row.state, row.intent, row.confidence), (MailState::Ignored, Some(Intent::NotARequest), Some(0.9)));
    let again = scene.stores.mail.failed(scene.tenant, mail.id, "too late").await.unwrap();
    assert_eq!(again, Settled::Before(row));
    assert!(scene.stores.mail.failed(scene.stranger, mail.id, "not mine").await.is_err());
}
