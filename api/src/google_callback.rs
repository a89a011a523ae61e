//! Where Google sends the owner of a mailbox after the question for consent. A browser comes here without a key: the state proves
//! which question it answers. Nothing is exchanged here; the code is sealed, and a job does the rest.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_shared::google::{ConsentError, OwnersAnswer};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::browser_page::{answer, document, paragraph};
use crate::parameters::Query;
use crate::problem::{Answer, Problem, ProblemType};

/// Longer than any code of Google's.
const LONGEST_CODE: usize = 4_000;

/// The callback.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(callback))
}

/// With what Google sends the owner back. Google may add more, which is not looked at.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Returned {
    /// As it stood in the consent's URL.
    #[serde(default)]
    state: String,
    /// What tokens are got for.
    code: Option<String>,
    /// Why there is no code, such as `access_denied`.
    error: Option<String>,
}

/// Take the answer of a mailbox's owner. Google sends browsers here; nobody else calls this.
#[utoipa::path(
    get, path = "/google/callback", tag = "accounts", operation_id = "google_callback",
    params(Returned),
    responses((status = 200, description = "A page that says what happens next.", body = String, content_type = "text/html"))
)]
async fn callback(State(app): State<App>, Query(returned): Query<Returned>) -> Answer<Response> {
    let answer = match (returned.code, returned.error) {
        (Some(code), None) if !code.is_empty() && code.len() <= LONGEST_CODE => OwnersAnswer::Code(code.into()),
        (None, Some(error)) => OwnersAnswer::Refused(word(&error)),
        _ => return Err(Problem::new(ProblemType::ConsentInvalid, "There is neither a code nor an error.")),
    };
    let refused = matches!(answer, OwnersAnswer::Refused(_));
    let (consent, entry) = app.stores().consents.answered(&returned.state, answer).await.map_err(problem)?;
    if let Some(entry) = entry {
        app.relay(consent.tenant_id, &[entry]).await;
    }
    Ok(if refused {
        page("Nothing was connected", "The consent was refused. You can close this page.")
    } else {
        page("Thank you", "The mailbox is being connected. You can close this page.")
    })
}

fn problem(error: ConsentError) -> Problem {
    match error {
        ConsentError::Forged => Problem::new(ProblemType::ConsentInvalid, ""),
        ConsentError::Expired => Problem::new(ProblemType::ConsentExpired, ""),
        ConsentError::Used => Problem::new(ProblemType::ConsentUsed, ""),
        ConsentError::Store(error) => error.into(),
    }
}

/// OAuth's error codes are words; whatever else somebody sends is not repeated.
fn word(error: &str) -> String {
    let clean: String = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect();
    if clean.is_empty() { "no reason".to_owned() } else { clean }
}

fn page(title: &str, text: &str) -> Response {
    answer(StatusCode::OK, document("en", title, "Postrider", &paragraph(text)))
}
