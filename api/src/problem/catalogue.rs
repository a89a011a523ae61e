//! The closed list of everything the API can answer when it does not do what was asked.
//!
//! Clients branch on `type`, so an entry is a promise: it may get better words, never another slug or status.

use axum::http::StatusCode;

use super::ProblemType;

/// The words of one entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Last segment of the `type` URI.
    pub slug: &'static str,
    /// The only status this problem is answered with.
    pub status: StatusCode,
    /// A sentence that is the same for every occurrence.
    pub title: &'static str,
    /// What the caller does next.
    pub next: &'static str,
}

const fn entry(slug: &'static str, status: StatusCode, title: &'static str, next: &'static str) -> Entry {
    Entry { slug, status, title, next }
}

impl ProblemType {
    /// The entry of the catalogue.
    #[expect(clippy::too_many_lines, reason = "a table, one entry per problem")]
    pub const fn entry(self) -> Entry {
        use StatusCode as S;
        match self {
            Self::MalformedRequest => entry(
                "malformed-request",
                S::BAD_REQUEST,
                "This is not an HTTP/1.1 request that can be read.",
                "Look at the request line, Host, Content-Length and Transfer-Encoding; HTTP/2 is spoken by a proxy before this API.",
            ),
            Self::HeadTooLarge => entry(
                "head-too-large",
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The request's headers are too many or too large.",
                "Send at most 100 headers and 64 KiB; cookies of other applications on this host may be the cause.",
            ),
            Self::UriTooLong => {
                entry("uri-too-long", S::URI_TOO_LONG, "The request's target is too long.", "Send less in the query.")
            }
            Self::MalformedJson => entry(
                "malformed-json",
                S::BAD_REQUEST,
                "The body is not JSON.",
                "Correct the text at the given line and column, then send it again.",
            ),
            Self::TooDeep => entry(
                "too-deep",
                S::UNPROCESSABLE_ENTITY,
                "The body nests too deeply.",
                "Flatten the document below the depth the detail names, then send it again.",
            ),
            Self::InvalidBody => entry(
                "invalid-body",
                S::UNPROCESSABLE_ENTITY,
                "The body is JSON, but not what this operation takes.",
                "Compare the named field with this operation's schema in /openapi.json, correct it and send it again.",
            ),
            Self::InvalidQuery => entry(
                "invalid-query",
                S::BAD_REQUEST,
                "A query parameter is unknown or has a wrong value.",
                "Compare the parameter with this operation in /openapi.json, correct it and send it again.",
            ),
            Self::InvalidHeader => entry(
                "invalid-header",
                S::BAD_REQUEST,
                "A request header has a wrong value.",
                "Correct the named header, then send the request again.",
            ),
            Self::PayloadTooLarge => entry(
                "payload-too-large",
                S::PAYLOAD_TOO_LARGE,
                "The body is larger than this operation takes.",
                "Send less: put large data where the job can fetch it, or split the batch.",
            ),
            Self::UnsupportedMediaType => entry(
                "unsupported-media-type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "The body's Content-Type is not one this operation reads.",
                "Send the body with the Content-Type the detail names.",
            ),
            Self::Unauthenticated => entry(
                "unauthenticated",
                S::UNAUTHORIZED,
                "This call needs a valid API key.",
                "Send `Authorization: Bearer pr_…` with a key that has neither expired nor been revoked.",
            ),
            Self::SignInRefused => entry(
                "sign-in-refused",
                S::UNAUTHORIZED,
                "The address, password, code or token is wrong, used or over.",
                "Check what was typed; ask for a new code, a new password or a new invitation, or sign in again.",
            ),
            Self::NotRegistered => entry(
                "not-registered",
                S::FORBIDDEN,
                "Nobody has an account with this identity.",
                "Where strangers may register, send `tenant_name` with the token; else ask for an invitation, and send its token.",
            ),
            Self::IdentityNotLinked => entry(
                "identity-not-linked",
                S::CONFLICT,
                "The address has an account that is not linked with this identity.",
                "Sign in as before, with the password or a mailed code, then send the token to POST /v1/me/identities.",
            ),
            Self::Forbidden => entry(
                "forbidden",
                S::FORBIDDEN,
                "This caller may not do this.",
                "Use a key with the permission the detail names, or ask an administrator for one.",
            ),
            Self::TenantInactive => entry(
                "tenant-inactive",
                S::FORBIDDEN,
                "The tenant does not take part at the moment.",
                "Ask those who run the platform. Nothing is lost: jobs wait until the tenant is active again.",
            ),
            Self::TenantRequired => entry(
                "tenant-required",
                S::BAD_REQUEST,
                "A platform key must say which tenant it acts for.",
                "Add the header `Postrider-Tenant: <tenant id>`; GET /v1/tenants lists the ids.",
            ),
            Self::NotFound => entry(
                "not-found",
                S::NOT_FOUND,
                "There is nothing with this id.",
                "Check the id, and that the key belongs to the tenant that owns it; finished jobs are forgotten after their retention.",
            ),
            Self::NoSuchPath => entry(
                "no-such-path",
                S::NOT_FOUND,
                "No operation has this path.",
                "Look the path up in /openapi.json or /docs.",
            ),
            Self::MethodNotAllowed => entry(
                "method-not-allowed",
                S::METHOD_NOT_ALLOWED,
                "This path exists, but not with this method.",
                "Use one of the methods in the Allow header.",
            ),
            Self::UnknownKind => entry(
                "unknown-kind",
                S::UNPROCESSABLE_ENTITY,
                "There is no job kind of this name.",
                "GET /v1/kinds lists the kinds that can be submitted.",
            ),
            Self::KindNotSubmittable => entry(
                "kind-not-submittable",
                S::UNPROCESSABLE_ENTITY,
                "Jobs of this kind are started by Postrider itself.",
                "GET /v1/kinds lists the kinds that can be submitted.",
            ),
            Self::InvalidPayload => entry(
                "invalid-payload",
                S::UNPROCESSABLE_ENTITY,
                "The payload does not fit the job kind.",
                "Compare the payload with the kind's schema in GET /v1/kinds, correct it and send it again.",
            ),
            Self::InvalidFormula => entry(
                "invalid-formula",
                S::UNPROCESSABLE_ENTITY,
                "The price formula cannot be used, so the product was not saved.",
                "Correct the formula at the given line and column, then save the product again.",
            ),
            Self::AlreadyExists => entry(
                "already-exists",
                S::CONFLICT,
                "Something with this name exists already.",
                "Change the existing one, or choose another name.",
            ),
            Self::StateConflict => entry(
                "state-conflict",
                S::CONFLICT,
                "The resource's state does not allow this.",
                "Read the resource again: somebody else may have changed it.",
            ),
            Self::ConsentInvalid => entry(
                "consent-invalid",
                S::BAD_REQUEST,
                "This is not the answer to a consent that this installation asked for.",
                "Ask for a new consent with POST /v1/accounts/{id}/consent, and open its URL.",
            ),
            Self::ConsentExpired => entry(
                "consent-expired",
                S::GONE,
                "The time to consent is over.",
                "Ask for a new consent with POST /v1/accounts/{id}/consent, and open its URL.",
            ),
            Self::ConsentUsed => entry(
                "consent-used",
                S::CONFLICT,
                "This consent was answered before, or a newer one was asked for.",
                "Look at the account: if it is not active, ask for a new consent with POST /v1/accounts/{id}/consent.",
            ),
            Self::GoogleNotConfigured => entry(
                "google-not-configured",
                S::NOT_IMPLEMENTED,
                "This installation cannot connect Google accounts.",
                "Operators: set GOOGLE_CLIENT_ID, its secret and GOOGLE_REDIRECT_URL; users: connect the mailbox with an app password.",
            ),
            Self::UniqueKeyTaken => entry(
                "unique-key-taken",
                S::CONFLICT,
                "An unfinished job holds this unique key.",
                "Follow the job the answer names; submit again when it has ended.",
            ),
            Self::IdempotencyKeyReused => entry(
                "idempotency-key-reused",
                S::CONFLICT,
                "This idempotency key was used for a different request.",
                "Use a new key for a new request; send the very same request to repeat the first one.",
            ),
            Self::RequestInProgress => entry(
                "request-in-progress",
                S::CONFLICT,
                "The first request with this idempotency key has not ended yet.",
                "Wait for the time in Retry-After, then send the very same request again.",
            ),
            Self::TooManyRequests => entry(
                "too-many-requests",
                S::TOO_MANY_REQUESTS,
                "This is more often than may be called.",
                "Wait for the time in Retry-After; RateLimit-Policy says how often calls may come. Batches carry many jobs in one call.",
            ),
            Self::Overloaded => entry(
                "overloaded",
                S::SERVICE_UNAVAILABLE,
                "This process has more to do than it can.",
                "Wait for the time in Retry-After, then send the same request again; operators: add API processes.",
            ),
            Self::RequestTimeout => entry(
                "request-timeout",
                S::REQUEST_TIMEOUT,
                "The body did not arrive in time.",
                "Send the request again, over a faster connection or in smaller parts.",
            ),
            Self::IssuerUnavailable => entry(
                "issuer-unavailable",
                S::SERVICE_UNAVAILABLE,
                "The token cannot be verified at the moment.",
                "Send it again after Retry-After; other ways to sign in work.",
            ),
            Self::QueueUnavailable => entry(
                "queue-unavailable",
                S::SERVICE_UNAVAILABLE,
                "The queue cannot be reached.",
                "Wait for the time in Retry-After, then send the same request with the same Idempotency-Key.",
            ),
            Self::QueueFull => entry(
                "queue-full",
                S::SERVICE_UNAVAILABLE,
                "The queue takes no new jobs because its memory is nearly used up.",
                "Wait for the time in Retry-After and send the same request again; operators: let workers drain, or raise Redis's maxmemory.",
            ),
            Self::QueueTooDeep => entry(
                "queue-too-deep",
                S::SERVICE_UNAVAILABLE,
                "So many jobs wait in this queue that it takes no new ones.",
                "Wait for the time in Retry-After and send the same request again; operators: add workers, or raise the queue's depth limit.",
            ),
            Self::DatabaseUnavailable => entry(
                "database-unavailable",
                S::SERVICE_UNAVAILABLE,
                "The database cannot be reached.",
                "Wait for the time in Retry-After, then send the same request with the same Idempotency-Key.",
            ),
            Self::StorageUnavailable => entry(
                "storage-unavailable",
                S::SERVICE_UNAVAILABLE,
                "The file store cannot be reached.",
                "Wait for the time in Retry-After, then send the same request again.",
            ),
            Self::TimedOut => entry(
                "timed-out",
                S::SERVICE_UNAVAILABLE,
                "The request took longer than it may.",
                "It may have been carried out: send the same request with the same Idempotency-Key.",
            ),
            Self::Internal => entry(
                "internal",
                S::INTERNAL_SERVER_ERROR,
                "Postrider failed to do this.",
                "Send the same request once more; if it fails again, report the request id to the operator, whose log has the cause.",
            ),
        }
    }
}
