use postrider_shared::{
    attachments::{Attachment, AttachmentState},
    database::{StoreError, Texts},
    ids::{AttachmentId, MailId},
    objects::attachment_key,
};

use crate::scene::{Scene, on_both};

on_both!(an_attachment_is_recorded_once_and_for_its_tenant_only, records_of_one_attachment_at_a_time_are_one);

fn attachment(scene: &Scene, mail: MailId, position: usize) -> Attachment {
    Attachment {
        id: AttachmentId::of(mail, position),
        tenant_id: scene.tenant,
        mail_id: mail,
        position: i32::try_from(position).unwrap(),
        name: "list.csv".to_owned(),
        kind: Some("csv".to_owned()),
        media_type: "text/csv".to_owned(),
        size: 3,
        sha256: "ab".to_owned(),
        object_key: Some(attachment_key(scene.tenant, mail, "ab")),
        state: AttachmentState::Read,
        reason: None,
        text: "1 | 2\n\0".to_owned(),
        left_out: Texts(vec!["all after 2000 rows".to_owned()]),
        created_at: scene.now(),
    }
}

async fn an_attachment_is_recorded_once_and_for_its_tenant_only(scene: Scene) {
    let attachments = &scene.stores.attachments;
    let account = scene.account().await;
    let mail = scene.stores.mail.record(scene.tenant, scene.new_mail(&account, 1), vec![]).await.unwrap().mail().id;
    attachments.record(attachment(&scene, mail, 2)).await.unwrap();
    attachments.record(attachment(&scene, mail, 1)).await.unwrap();
    let again = Attachment { name: "other.csv".to_owned(), ..attachment(&scene, mail, 1) };
    attachments.record(again).await.unwrap();
    let known = attachments.of_mail(scene.tenant, mail).await.unwrap();
    assert_eq!(
        known.iter().map(|one| (one.position, one.name.as_str())).collect::<Vec<_>>(),
        [(1, "list.csv"), (2, "list.csv")]
    );
    assert_eq!(known[0].text, "1 | 2\n");
    assert_eq!(attachments.get(scene.tenant, known[0].id).await.unwrap(), known[0]);
    let foreign = Attachment { tenant_id: scene.stranger, ..attachment(&scene, mail, 3) };
    assert!(matches!(attachments.record(foreign).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(attachments.get(scene.stranger, known[0].id).await, Err(StoreError::NotFound { .. })));
    assert!(attachments.of_mail(scene.stranger, mail).await.unwrap().is_empty());
}

async fn records_of_one_attachment_at_a_time_are_one(scene: Scene) {
    let attachments = &scene.stores.attachments;
    let account = scene.account().await;
    let mail = scene.stores.mail.record(scene.tenant, scene.new_mail(&account, 1), vec![]).await.unwrap().mail().id;
    for position in 0..40 {
        let records = (0..8).map(|_| attachments.record(attachment(&scene, mail, position)));
        let recorded = futures::future::join_all(records).await;
        assert!(recorded.iter().all(Result::is_ok), "{recorded:?}");
    }
    assert_eq!(attachments.of_mail(scene.tenant, mail).await.unwrap().len(), 40);
}
