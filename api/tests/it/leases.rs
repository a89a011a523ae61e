//! A request that may be repeated is held under a lease: renewed while its process works on it, given up once another has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use chrono::{DateTime, TimeDelta, Utc};
use postrider_api::auth::Caller;
use postrider_api::idempotency;
use postrider_shared::actor::Actor;
use postrider_shared::clock::Clock;
use postrider_shared::config::Registration;
use postrider_shared::ids::{ApiKeyId, TenantId};
use postrider_shared::requests::LEASE;
use postrider_shared::roles::Role;
use sea_orm::{ConnectionTrait as _, Statement};
use tower::ServiceExt as _;

use crate::api::Api;
use crate::wait::{DEADLINE, until};

/// Counts those that are being worked on.
struct Working(Arc<AtomicUsize>);

impl Working {
    fn begin(at: &Arc<AtomicUsize>) -> Self {
        at.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(at))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Routes with one operation behind the layer, which does this.
fn routes<R>(api: &Api, work: impl Fn() -> R + Clone + Send + Sync + 'static) -> Router
where
    R: Future<Output = StatusCode> + Send + 'static,
{
    let role = Role::TenantAdmin;
    let actor = Actor::Key(ApiKeyId::random());
    let caller = Caller { actor, role, permissions: role.permissions(), tenant: Some(TenantId::random()) };
    let app = api.app.clone();
    let layer = from_fn(move |request: Request, next: Next| {
        let app = app.clone();
        async move {
            let inner = move |request: Box<Request>| next.run(*request);
            let done = idempotency::layer(app, caller, Box::new(request), inner).await;
            done.unwrap_or_else(postrider_api::problem::Problem::into_response)
        }
    });
    Router::new().route("/v1/things", post(work)).route_layer(layer)
}

async fn call(routes: &Router) -> Response {
    let request = Request::post("/v1/things").header("Idempotency-Key", "one").body(Body::empty()).unwrap();
    routes.clone().oneshot(request).await.unwrap()
}

/// Until when the only request there is, is held.
async fn leased_until(api: &Api) -> DateTime<Utc> {
    let reader = api.app.database().reader();
    let sql = Statement::from_string(reader.get_database_backend(), "SELECT leased_until FROM idempotent_requests");
    reader.query_one_raw(sql).await.unwrap().unwrap().try_get("", "leased_until").unwrap()
}

#[tokio::test]
async fn a_request_is_held_while_it_is_worked_on_and_given_up_once_another_has_it() {
    let clock = Clock::manual(Clock::system().now());
    let api = Api::start_at(&clock, Registration::Open, &[]).await;
    let (working, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let routes = {
        let (working, runs) = (Arc::clone(&working), Arc::clone(&runs));
        routes(&api, move || {
            let (working, run) = (Working::begin(&working), runs.fetch_add(1, Ordering::SeqCst));
            async move {
                let _working = working;
                // The first hangs; whoever takes it over does it.
                if run == 0 {
                    std::future::pending::<()>().await;
                }
                StatusCode::CREATED
            }
        })
    };
    let hanging = call(&routes);
    let others = async {
        until("the first run is under way", async || (working.load(Ordering::SeqCst) == 1).then_some(())).await;
        // Its lease is renewed before it ends, so a repeat finds it in progress later than that, too.
        let step = TimeDelta::from_std(LEASE).unwrap() * 2 / 3;
        let first = leased_until(&api).await;
        clock.advance(step.to_std().unwrap());
        until("the lease is renewed", async || (leased_until(&api).await > first).then_some(())).await;
        clock.advance(step.to_std().unwrap());
        assert!(clock.now() > first);
        let repeat = call(&routes).await;
        assert_eq!((repeat.status(), &repeat.headers()["retry-after"]), (StatusCode::CONFLICT, &"1".parse().unwrap()));
        assert_eq!(runs.load(Ordering::SeqCst), 1);

        // Its process was away for longer than the lease: a repeat carries on.
        let taken_over = until("a repeat carries on", async || {
            clock.advance(LEASE);
            Some(call(&routes).await).filter(|answer| answer.status() != StatusCode::CONFLICT)
        });
        assert_eq!(taken_over.await.status(), StatusCode::CREATED);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    };
    let hung = async { tokio::time::timeout(DEADLINE + Duration::from_secs(10), hanging).await };
    let (hung, ()) = tokio::join!(hung, others);
    let hung = hung.expect("the first run is given up");
    // Its caller is told to ask again, and then hears what the other run came to.
    assert_eq!((hung.status(), &hung.headers()["retry-after"]), (StatusCode::CONFLICT, &"1".parse().unwrap()));
    assert_eq!(working.load(Ordering::SeqCst), 0, "and nobody works on it any more");
    let replayed = call(&routes).await;
    assert_eq!(
        (replayed.status(), &replayed.headers()["idempotent-replayed"]),
        (StatusCode::CREATED, &"true".parse().unwrap())
    );
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}
