//! The keys that seal secrets, and their rotation, which is for the platform's operators.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use postrider_queue::{Enqueued, Job as _, JobId, NewJob};
use postrider_shared::database::AllTenants;
use postrider_shared::ids::TenantId;
use postrider_shared::jobs::RotateSecrets;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::jobs::{Accepted, Job};
use crate::app::App;
use crate::json::Json;
use crate::parameters::Path;
use crate::problem::{Answer, Problem};

/// The operations on sealed secrets.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(rotate)).routes(routes!(rotation))
}

/// The key ring of the process that answers, and what its keys seal.
#[derive(Debug, Serialize, ToSchema)]
pub struct Secrets {
    /// Keys of `SECRET_KEYS` in their order, then keys that seal something and are not there.
    keys: Vec<SecretKey>,
}

/// A key and what it seals, in the whole database.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecretKey {
    /// Its id.
    id: String,
    /// Whether it stands in `SECRET_KEYS`: nothing opens what another one sealed.
    known: bool,
    /// Whether it is the first, which seals.
    seals: bool,
    /// How many texts are sealed with it. One with none may be removed, once every process seals with another.
    values: u64,
    /// The same by `table.column`.
    columns: BTreeMap<String, u64>,
}

/// Count sealed secrets by key.
#[utoipa::path(
    get, path = "/secrets", tag = "secrets", operation_id = "count_secrets",
    responses((status = 200, description = "The keys and how much each seals.", body = Secrets)),
    security(("api_key" = ["secrets:rotate"]))
)]
async fn get(State(app): State<App>) -> Answer<Json<Secrets>> {
    let ring = app.stores().secrets.keys()?;
    let known =
        |id: &str, seals| SecretKey { id: id.to_owned(), known: true, seals, values: 0, columns: BTreeMap::new() };
    let mut keys: Vec<SecretKey> = ring.key_ids().enumerate().map(|(place, id)| known(id, place == 0)).collect();
    for count in app.stores().secrets.count(AllTenants).await? {
        let place = keys.iter().position(|key| key.id == count.key).unwrap_or_else(|| {
            keys.push(SecretKey { known: false, ..known(&count.key, false) });
            keys.len() - 1
        });
        keys[place].values += count.values;
        keys[place].columns.insert(format!("{}.{}", count.column.table, count.column.column), count.values);
    }
    Ok(Json(Secrets { keys }))
}

/// Seal all secrets with the first key again.
///
/// A job does it while everything runs, and can be followed at `Location`. Its output says of every other key how many texts
/// are left, and whether it may be removed. The new key must be known to every process before it is put first anywhere.
#[utoipa::path(
    post, path = "/secrets/rotate", tag = "secrets", operation_id = "rotate_secrets",
    responses((
        status = 202, description = "The job that does it; one that is under way already is answered again.", body = Accepted,
        headers(("Location" = String, description = "Where the job can be followed."))
    )),
    security(("api_key" = ["secrets:rotate"]))
)]
async fn rotate(State(app): State<App>) -> Answer<Response> {
    let to = app.stores().secrets.keys()?.sealing_key().to_owned();
    let job = NewJob::of(TenantId::platform().into(), &RotateSecrets { to }).map_err(Problem::internal)?;
    let accepted = match app.queue().enqueue(job).await? {
        // An equal rotation is under way.
        Enqueued::UniqueTaken(id) => Accepted { id: id.to_string(), existed: true, replaced: false },
        enqueued => super::jobs::accepted(enqueued)?,
    };
    let location = format!("/v1/secrets/rotations/{}", accepted.id);
    let mut response = (StatusCode::ACCEPTED, Json(accepted)).into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&location).map_err(Problem::internal)?);
    Ok(response)
}

/// Get a rotation: how far it is, and what is left when it has ended.
#[utoipa::path(
    get, path = "/secrets/rotations/{id}", tag = "secrets", operation_id = "get_rotation",
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 200, description = "The job.", body = Job)),
    security(("api_key" = ["secrets:rotate"]))
)]
async fn rotation(State(app): State<App>, Path(id): Path<JobId>) -> Answer<Json<Job>> {
    let record = app.queue().get(id).await?;
    let ours =
        record.filter(|record| record.kind == RotateSecrets::KIND && record.tenant == TenantId::platform().into());
    ours.map(|record| Json(record.into())).ok_or_else(|| Problem::not_found("rotation"))
}
