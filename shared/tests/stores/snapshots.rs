//! What is known of a folder's old mail.

use std::time::Duration;

use chrono::TimeDelta;
use postrider_shared::{
    accounts::{Account, AccountSettings},
    database::StoreError,
    ids::TenantId,
    mail::{Coverage, Opened, Print, Snapshot},
};

use crate::scene::{Scene, on_both};

on_both!(
    the_first_snapshot_stays_and_grows,
    with_a_whole_snapshot_everything_since_the_connection_is_looked_at_again,
    a_lost_place_is_noticed_by_the_snapshot,
    another_mailbox_behind_the_account_has_no_snapshot,
    the_place_in_another_mailbox_or_at_another_server_does_not_count,
);

fn print(number: u64) -> Print {
    Print::of(b"", number)
}

async fn snapshot(scene: &Scene, tenant: TenantId, account: &Account) -> Snapshot {
    scene.stores.mail.snapshot(tenant, account.id, "INBOX").await.unwrap()
}

async fn the_first_snapshot_stays_and_grows(scene: Scene) {
    let (account, mail) = (scene.account().await, &scene.stores.mail);
    let (tenant, id) = (scene.tenant, account.id);
    mail.open_folder(tenant, id, "INBOX", 7).await.unwrap();
    mail.pass_over(tenant, id, ("INBOX", 7.into()), &[print(9)]).await.unwrap();
    assert_eq!(snapshot(&scene, tenant, &account).await, Snapshot::none(), "there is nothing to add to");
    mail.keep_snapshot(tenant, id, ("INBOX", 7.into()), Coverage::Whole, &[print(1), print(2)]).await.unwrap();
    mail.keep_snapshot(tenant, id, ("INBOX", 7.into()), Coverage::Newest, &[print(3)]).await.unwrap();
    mail.pass_over(tenant, id, ("INBOX", 7.into()), &[print(2), print(4)]).await.unwrap();
    mail.pass_over(tenant, id, ("INBOX", 7.into()), &[print(5)]).await.unwrap();
    let known = snapshot(&scene, tenant, &account).await;
    assert_eq!((known.coverage, known.len()), (Coverage::Whole, 4));
    assert!([1, 2, 4, 5].iter().all(|number| known.contains(print(*number))) && !known.contains(print(3)));
    assert_eq!(snapshot(&scene, scene.stranger, &account).await, Snapshot::none());
    let stranger = mail.keep_snapshot(scene.stranger, id, ("INBOX", 7.into()), Coverage::Whole, &[]).await;
    assert!(matches!(stranger, Err(StoreError::NotFound { .. })), "{stranger:?}");
    let many: Vec<Print> = (10..100_010).map(print).collect();
    mail.pass_over(tenant, id, ("INBOX", 7.into()), &many).await.unwrap();
    let known = snapshot(&scene, tenant, &account).await;
    assert_eq!((known.coverage, known.len()), (Coverage::Newest, 4), "too many: from now on it is not whole");
}

async fn with_a_whole_snapshot_everything_since_the_connection_is_looked_at_again(scene: Scene) {
    for (coverage, looks_back) in [(Coverage::Whole, true), (Coverage::Newest, false), (Coverage::Nothing, false)] {
        let (account, mail) = (scene.account().await, &scene.stores.mail);
        mail.open_folder(scene.tenant, account.id, "INBOX", 7).await.unwrap();
        if coverage != Coverage::Nothing {
            mail.keep_snapshot(scene.tenant, account.id, ("INBOX", 7.into()), coverage, &[]).await.unwrap();
        }
        scene.clock.advance(Duration::from_hours(5));
        mail.polled(scene.tenant, account.id, ("INBOX", 7.into()), 40, scene.now()).await.unwrap();
        let opened = mail.open_folder(scene.tenant, account.id, "INBOX", 8).await.unwrap();
        let Opened::Reset { now, .. } = opened else { panic!("{opened:?}") };
        assert_eq!((now.snapshot, now.since == account.connected_at), (coverage, looks_back));
    }
}

async fn a_lost_place_is_noticed_by_the_snapshot(scene: Scene) {
    let (account, mail) = (scene.account().await, &scene.stores.mail);
    let opened = mail.open_folder(scene.tenant, account.id, "INBOX", 7).await.unwrap();
    assert_eq!((opened.cursor().doubt_below, opened.cursor().snapshot), (0, Coverage::Nothing));
    mail.keep_snapshot(scene.tenant, account.id, ("INBOX", 7.into()), Coverage::Whole, &[print(1)]).await.unwrap();
    let forget = "DELETE FROM mailbox_cursors";
    sea_orm::ConnectionTrait::execute_unprepared(scene.database.reader(), forget).await.unwrap();
    let opened = mail.open_folder(scene.tenant, account.id, "INBOX", 7).await.unwrap();
    assert!(matches!(opened, Opened::First(_)));
    assert!(opened.cursor().doubt_below > 0);
    assert_eq!(opened.cursor().snapshot, Coverage::Whole);
}

async fn another_mailbox_behind_the_account_has_no_snapshot(scene: Scene) {
    let (account, mail) = (scene.account().await, &scene.stores.mail);
    mail.open_folder(scene.tenant, account.id, "INBOX", 7).await.unwrap();
    mail.keep_snapshot(scene.tenant, account.id, ("INBOX", 7.into()), Coverage::Whole, &[print(1)]).await.unwrap();
    let change = |settings| scene.change_account(&account, settings);
    let mut settings = account.settings();
    "new.example".clone_into(&mut settings.imap.host);
    settings.daily_cap += 1;
    change(settings.clone()).await.unwrap();
    assert_eq!(snapshot(&scene, scene.tenant, &account).await.coverage, Coverage::Whole, "it moved to another server");
    "somebody-else".clone_into(&mut settings.imap.username);
    change(settings).await.unwrap();
    assert_eq!(snapshot(&scene, scene.tenant, &account).await, Snapshot::none());
    let opened = mail.open_folder(scene.tenant, account.id, "INBOX", 7).await.unwrap();
    assert_eq!(opened.cursor().snapshot, Coverage::Nothing, "another is to be taken");
}

async fn the_place_in_another_mailbox_or_at_another_server_does_not_count(scene: Scene) {
    type Change = fn(&mut AccountSettings);
    let cases: [(&str, Change, Coverage); 4] = [
        ("address", |settings| "quotes@example.com".clone_into(&mut settings.address), Coverage::Nothing),
        ("user name", |settings| "quotes".clone_into(&mut settings.imap.username), Coverage::Nothing),
        ("server", |settings| "new.example".clone_into(&mut settings.imap.host), Coverage::Newest),
        ("port", |settings| settings.imap.port += 1, Coverage::Newest),
    ];
    for (what, change, coverage) in cases {
        let (account, mail) = (scene.account().await, &scene.stores.mail);
        let open = || mail.open_folder(scene.tenant, account.id, "INBOX", 7);
        open().await.unwrap();
        mail.keep_snapshot(scene.tenant, account.id, ("INBOX", 7.into()), Coverage::Newest, &[]).await.unwrap();
        scene.clock.advance(Duration::from_hours(5));
        mail.polled(scene.tenant, account.id, ("INBOX", 7.into()), 40, scene.now()).await.unwrap();
        let polled_at = scene.now();
        let mut settings = account.settings();
        settings.daily_cap += 1;
        scene.change_account(&account, settings.clone()).await.unwrap();
        assert!(matches!(open().await.unwrap(), Opened::Continues(_)), "it is where it was");
        change(&mut settings);
        scene.change_account(&account, settings).await.unwrap();
        // A run that still reads the old one moves nothing.
        mail.polled(scene.tenant, account.id, ("INBOX", 7.into()), 50, scene.now()).await.unwrap();
        let opened = open().await.unwrap();
        let Opened::Reset { now, .. } = opened else { panic!("another {what} with the same UIDVALIDITY: {opened:?}") };
        assert_eq!((now.last_uid, now.uid_validity, now.snapshot), (0, 7, coverage), "another {what}");
        assert_eq!(now.since, polled_at - TimeDelta::hours(1), "another {what}");
        let opened = open().await.unwrap();
        assert!(matches!(&opened, Opened::Continues(cursor) if cursor.doubt_below > 0), "another {what}: {opened:?}");
    }
}
