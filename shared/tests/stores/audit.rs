//! Who changed what is committed with the change, for good, and without secrets.

use std::sync::Arc;

use chrono::TimeDelta;
use postrider_shared::{
    accounts::{AccountChange, NewAccount},
    audit::{
        AuditActor, AuditEvent, AuditFilter, AuditKind, AuditOutcome, AuditedRequest, Happened, Recorder,
        turns_out_to_be, within,
    },
    database::AllTenants,
    ids::ApiKeyId,
    roles::Role,
    sessions::Carrier,
};
use sea_orm::{ConnectionTrait, DbBackend};

use crate::{
    scene::{Scene, account_settings, on_both, plate},
    users::person,
};

on_both!(
    a_change_and_its_event_are_there_together_or_not_at_all,
    an_event_tells_what_is_different_without_secrets,
    the_database_keeps_every_event,
    what_is_old_is_removed_in_steps_that_say_so,
    nobody_makes_the_database_let_go_of_what_is_young,
    of_a_stranger_only_what_is_said_is_kept,
    what_is_said_once_is_there_once,
);

async fn what_is_said_once_is_there_once(scene: Scene) {
    let happened = |tenant, settled: u32| Happened {
        request: AuditedRequest {
            actor: AuditActor::System,
            tenant: Some(tenant),
            request_id: "request-1".to_owned(),
            ip: None,
            operation: "discard_dead_letters".to_owned(),
            resource: "dead-letters".to_owned(),
            subject_id: Some("job_1".to_owned()),
        },
        at: scene.now(),
        kind: AuditKind::Change,
        outcome: AuditOutcome::Done,
        user: None,
        times: 1,
        after: Some(serde_json::json!({ "settled": settled })),
    };
    let audit = &scene.stores.audit;
    let of_job_1 = ["discard_dead_letters", "job_1"];
    audit.happened_once(happened(scene.tenant, 7), &of_job_1).await.unwrap();
    audit.happened_once(happened(scene.tenant, 8), &of_job_1).await.unwrap();
    let [event] = &scene.events().await[..] else { panic!("{:#?}", scene.events().await) };
    assert_eq!(event.after.as_deref(), Some(r#"{"settled":7}"#), "the first stays as it was");

    audit.happened_once(happened(scene.stranger, 7), &["discard_dead_letters", "job_2"]).await.unwrap();
    audit.happened(&[happened(scene.tenant, 7), happened(scene.tenant, 7)]).await.unwrap();
    assert_eq!(scene.events().await.len(), 4, "everything else happened as often as it is said");
}

impl Scene {
    fn recorder(&self, operation: &str, resource: &str) -> Arc<Recorder> {
        let request = AuditedRequest {
            actor: AuditActor::Key(ApiKeyId::random()),
            tenant: Some(self.tenant),
            request_id: "request-1".to_owned(),
            ip: None,
            operation: operation.to_owned(),
            resource: resource.to_owned(),
            subject_id: None,
        };
        Recorder::new(request, self.clock.clone())
    }

    /// Oldest first.
    async fn events(&self) -> Vec<AuditEvent> {
        let mut events = self.stores.audit.list(&AuditFilter::default(), None, 100).await.unwrap().items;
        events.reverse();
        events
    }
}

async fn a_change_and_its_event_are_there_together_or_not_at_all(scene: Scene) {
    let products = &scene.stores.products;
    let product = products.create(scene.tenant, plate()).await.unwrap();
    assert!(scene.events().await.is_empty(), "nobody asked for this one");

    let connection = scene.database.reader();
    connection.execute_unprepared("ALTER TABLE audit_events RENAME TO elsewhere").await.unwrap();
    let mut dearer = plate();
    "100 * width * material_rate".clone_into(&mut dearer.formula);
    let change = products.change(scene.tenant, product.id, |_| dearer.clone());
    within(scene.recorder("change_product", "products"), change).await.unwrap_err();
    assert_eq!(products.get(scene.tenant, product.id).await.unwrap().formula, product.formula, "no event, no change");

    connection.execute_unprepared("ALTER TABLE elsewhere RENAME TO audit_events").await.unwrap();
    let recorder = scene.recorder("change_product", "products");
    within(recorder, async {
        products.change(scene.tenant, product.id, |_| dearer.clone()).await.unwrap();
        // A second write of the same request that changes nothing.
        products.change(scene.tenant, product.id, |_| dearer).await.unwrap();
    })
    .await;
    let events = scene.events().await;
    let [event] = &events[..] else { panic!("{events:#?}") };
    assert_eq!((event.kind, event.outcome), (AuditKind::Change, AuditOutcome::Done));
    assert_eq!((event.tenant_id, event.subject_id.clone()), (Some(scene.tenant), Some(product.id.to_string())));
    assert_eq!(event.before.as_deref(), Some(r#"{"formula":"0.1 * width * material_rate + 0.2"}"#));
    assert_eq!(event.after.as_deref(), Some(r#"{"formula":"100 * width * material_rate"}"#));
}

async fn an_event_tells_what_is_different_without_secrets(scene: Scene) {
    let accounts = &scene.stores.accounts;
    let new = NewAccount { settings: account_settings("box@example.com"), password: "canary-one".to_owned().into() };
    let create = accounts.create(scene.tenant, new);
    let account = within(scene.recorder("create_account", "accounts"), create).await.unwrap();
    let password = Some("canary-two".to_owned().into());
    let change = scene.change_account(&account, AccountChange { password, ..account.settings().into() });
    within(scene.recorder("change_account", "accounts"), change).await.unwrap();
    let disconnect = accounts.disconnect(scene.tenant, account.id);
    within(scene.recorder("disconnect_account", "accounts"), disconnect).await.unwrap();

    let events = scene.events().await;
    let [created, changed, disconnected] = &events[..] else { panic!("{events:#?}") };
    assert_eq!((created.before.as_deref(), created.subject_id.clone()), (None, Some(account.id.to_string())));
    assert!(created.after.as_deref().unwrap().contains(r#""address":"box@example.com""#), "{created:#?}");
    let secret = Some(r#"{"password_sealed":"(secret)"}"#);
    assert_eq!(
        (changed.before.as_deref(), changed.after.as_deref()),
        (secret, secret),
        "it changed; to what, nobody sees"
    );
    assert!(disconnected.after.as_deref().unwrap().contains(r#""state":"disconnected""#), "{disconnected:#?}");
    let all = format!("{events:?}");
    assert!(!all.contains("canary") && !all.contains("s1:"), "{all}");
}

async fn the_database_keeps_every_event(scene: Scene) {
    let create = scene.stores.products.create(scene.tenant, plate());
    within(scene.recorder("create_product", "products"), create).await.unwrap();
    let connection = scene.database.reader();
    let mut attempts = vec!["UPDATE audit_events SET operation = 'nothing'", "DELETE FROM audit_events"];
    if connection.get_database_backend() == DbBackend::Postgres {
        attempts.push("TRUNCATE audit_events");
    }
    for attempt in attempts {
        let refused = connection.execute_unprepared(attempt).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{attempt}: {refused}");
    }
    assert_eq!(scene.events().await.len(), 1);
}

async fn what_is_old_is_removed_in_steps_that_say_so(scene: Scene) {
    let (now, keep) = (scene.now(), TimeDelta::days(365));
    let old = |days: i64| Happened {
        request: AuditedRequest {
            actor: AuditActor::System,
            tenant: Some(scene.tenant),
            request_id: format!("{days} days ago"),
            ip: None,
            operation: "test".to_owned(),
            resource: "tests".to_owned(),
            subject_id: None,
        },
        at: now - TimeDelta::days(days),
        kind: AuditKind::Change,
        outcome: AuditOutcome::Done,
        user: None,
        times: 1,
        after: None,
    };
    let events: Vec<Happened> = [800, 700, 600, 366, 364, 1].map(old).into();
    scene.stores.audit.happened(&events).await.unwrap();
    let audit = &scene.stores.audit;
    assert_eq!(audit.expire(AllTenants, now, keep, 3).await.unwrap(), 3, "no more than it was told");
    assert_eq!(audit.expire(AllTenants, now, keep, 3).await.unwrap(), 1);
    assert_eq!(audit.expire(AllTenants, now, keep, 3).await.unwrap(), 0);
    let left = scene.events().await;
    let told: Vec<&str> = left.iter().map(|event| event.request_id.as_str()).filter(|id| !id.is_empty()).collect();
    assert_eq!(told, ["364 days ago", "1 days ago"]);
    let notes: Vec<&AuditEvent> = left.iter().filter(|event| event.operation == "expire_audit_events").collect();
    let removed: Vec<u64> = notes
        .iter()
        .map(|note| serde_json::from_str::<serde_json::Value>(note.after.as_deref().unwrap()).unwrap())
        .map(|after| after["removed"].as_u64().unwrap())
        .collect();
    assert_eq!(removed, [3, 1], "{notes:#?}");
    assert!(notes.iter().all(|note| note.actor_kind == "system" && note.tenant_id.is_none()), "{notes:#?}");

    // Less than the shortest time is not to be had.
    assert_eq!(audit.expire(AllTenants, now, TimeDelta::zero(), 10).await.unwrap(), 1);
    assert!(scene.events().await.iter().any(|event| event.request_id == "1 days ago"));
    let gone = "DELETE FROM audit_events WHERE request_id = '1 days ago'";
    let refused = scene.database.reader().execute_unprepared(gone).await.unwrap_err().to_string();
    assert!(refused.contains("append-only"), "{refused}");
}

async fn nobody_makes_the_database_let_go_of_what_is_young(scene: Scene) {
    let connection = scene.database.reader();
    let soon = (chrono::DateTime::UNIX_EPOCH + TimeDelta::days(100)).to_rfc3339();
    connection.execute_unprepared(&format!("UPDATE audit_retention SET keep_from = '{soon}'")).await.unwrap();
    for attempt in [
        "UPDATE audit_retention SET keep_from = '1970-01-01T00:00:00+00:00'",
        "UPDATE audit_retention SET keep_from = '9999-01-01T00:00:00+00:00'",
        "DELETE FROM audit_retention",
    ] {
        let refused = connection.execute_unprepared(attempt).await.unwrap_err().to_string();
        assert!(refused.contains("audit_retention"), "{attempt}: {refused}");
    }
}

async fn of_a_stranger_only_what_is_said_is_kept(scene: Scene) {
    let user = person(&scene, "jo@example.com", Role::Agent).await;
    let (known, user) = (user.clone(), user.id);
    let request = AuditedRequest {
        actor: AuditActor::Stranger,
        tenant: None,
        request_id: "request-2".to_owned(),
        ip: Some([127, 0, 0, 1].into()),
        operation: "login".to_owned(),
        resource: "auth".to_owned(),
        subject_id: None,
    };
    let recorder = Recorder::of_what_is_said(request, scene.clock.clone());
    let begun = within(recorder, async {
        // A write that nobody watches.
        let known = scene.stores.users.rehash(known, "another hash".to_owned()).await.unwrap().unwrap();
        turns_out_to_be(user, None);
        scene.stores.sessions.begin(&known, Carrier::Tokens, "test").await.unwrap().unwrap()
    })
    .await;
    let events = scene.events().await;
    let [event] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(event.kind, AuditKind::SignIn);
    assert_eq!((event.actor_kind.as_str(), event.actor_id), ("user", Some(user.0)));
    assert_eq!(event.tenant_id, Some(scene.tenant), "it stands in the log of the tenant that they work for");
    assert_eq!(event.subject_id, Some(begun.session.id.to_string()));
    assert_eq!((event.ip.as_deref(), event.outcome, event.times), (Some("127.0.0.1"), AuditOutcome::Done, 1));
}
