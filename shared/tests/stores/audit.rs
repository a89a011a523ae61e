//! Who changed what is committed with the change, for good, and without secrets.

use std::sync::Arc;

use postrider_shared::{
    accounts::NewAccount,
    actor::Actor,
    audit::{AuditEvent, AuditFilter, AuditKind, AuditOutcome, AuditedRequest, Recorder, within},
    ids::ApiKeyId,
};
use sea_orm::{ConnectionTrait, DbBackend};

use crate::scene::{Scene, account_settings, on_both, plate};

on_both!(
    a_change_and_its_event_are_there_together_or_not_at_all,
    an_event_tells_what_is_different_without_secrets,
    the_database_keeps_every_event,
);

impl Scene {
    fn recorder(&self, operation: &str, resource: &str) -> Arc<Recorder> {
        let request = AuditedRequest {
            actor: Actor::Key(ApiKeyId::random()),
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
    let change = products.change(scene.tenant, product.id, dearer.clone());
    within(scene.recorder("change_product", "products"), change).await.unwrap_err();
    assert_eq!(products.get(scene.tenant, product.id).await.unwrap().formula, product.formula, "no event, no change");

    connection.execute_unprepared("ALTER TABLE elsewhere RENAME TO audit_events").await.unwrap();
    let recorder = scene.recorder("change_product", "products");
    within(recorder, async {
        products.change(scene.tenant, product.id, dearer.clone()).await.unwrap();
        // A second write of the same request that changes nothing.
        products.change(scene.tenant, product.id, dearer).await.unwrap();
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
    let change = accounts.change(scene.tenant, account.id, account.settings(), Some("canary-two".to_owned().into()));
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
