//! What can go wrong, as a client may tell it apart. The words are in the catalogue.

/// What went wrong, as a client may tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemType {
    /// What came is not HTTP that can be read.
    MalformedRequest,
    /// The request's line and headers are larger than allowed.
    HeadTooLarge,
    /// The request's target is longer than allowed.
    UriTooLong,
    /// The body is not JSON at all.
    MalformedJson,
    /// The body nests deeper than the API reads.
    TooDeep,
    /// The body is JSON, but not what the operation takes.
    InvalidBody,
    /// A query parameter is unknown or has a wrong value.
    InvalidQuery,
    /// A request header has a wrong value.
    InvalidHeader,
    /// The body, or one job's payload, is larger than allowed.
    PayloadTooLarge,
    /// The `Content-Type` is not one the operation reads.
    UnsupportedMediaType,
    /// No key, or one that is not valid (any more).
    Unauthenticated,
    /// A wrong address, password, code or token.
    SignInRefused,
    /// The token of another issuer is good, but nobody has an account with it.
    NotRegistered,
    /// The token of another issuer is good, and its address has an account that is not linked with it.
    IdentityNotLinked,
    /// The key is valid, but its role may not do this.
    Forbidden,
    /// The key is valid, but its tenant is suspended or not yet approved.
    TenantInactive,
    /// A platform key did not say which tenant it acts for.
    TenantRequired,
    /// The resource does not exist, or belongs to another tenant.
    NotFound,
    /// No operation has this path.
    NoSuchPath,
    /// The path exists, with other methods.
    MethodNotAllowed,
    /// The job kind does not exist.
    UnknownKind,
    /// The kind exists, but is only started by the product itself.
    KindNotSubmittable,
    /// The payload does not fit the kind's schema.
    InvalidPayload,
    /// A product's price formula cannot be used.
    InvalidFormula,
    /// Something of this name or address exists already.
    AlreadyExists,
    /// The resource is in a state that does not allow this.
    StateConflict,
    /// The answer to a consent is not one to a question of ours.
    ConsentInvalid,
    /// The owner took too long.
    ConsentExpired,
    /// The consent was answered before.
    ConsentUsed,
    /// This installation has no OAuth client.
    GoogleNotConfigured,
    /// Another unfinished job holds the unique key.
    UniqueKeyTaken,
    /// The idempotency key was used for a different request.
    IdempotencyKeyReused,
    /// The first request with this idempotency key has not ended yet.
    RequestInProgress,
    /// Somebody calls more often than allowed.
    TooManyRequests,
    /// The process has more to do than it takes on.
    Overloaded,
    /// The client did not send its body in time.
    RequestTimeout,
    /// The keys of a token's issuer are not at hand.
    IssuerUnavailable,
    /// The queue cannot be reached.
    QueueUnavailable,
    /// The queue is reachable, but its memory is nearly used up.
    QueueFull,
    /// Too many jobs wait in this queue already.
    QueueTooDeep,
    /// The database cannot be reached.
    DatabaseUnavailable,
    /// The object store cannot be reached.
    StorageUnavailable,
    /// The request took longer than the API lets it.
    TimedOut,
    /// A fault of ours.
    Internal,
}

impl ProblemType {
    /// Every problem there is, in the order of the catalogue.
    pub const ALL: [Self; 44] = [
        Self::MalformedRequest,
        Self::HeadTooLarge,
        Self::UriTooLong,
        Self::MalformedJson,
        Self::TooDeep,
        Self::InvalidBody,
        Self::InvalidQuery,
        Self::InvalidHeader,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::Unauthenticated,
        Self::SignInRefused,
        Self::NotRegistered,
        Self::IdentityNotLinked,
        Self::Forbidden,
        Self::TenantInactive,
        Self::TenantRequired,
        Self::NotFound,
        Self::NoSuchPath,
        Self::MethodNotAllowed,
        Self::UnknownKind,
        Self::KindNotSubmittable,
        Self::InvalidPayload,
        Self::InvalidFormula,
        Self::AlreadyExists,
        Self::StateConflict,
        Self::ConsentInvalid,
        Self::ConsentExpired,
        Self::ConsentUsed,
        Self::GoogleNotConfigured,
        Self::UniqueKeyTaken,
        Self::IdempotencyKeyReused,
        Self::RequestInProgress,
        Self::TooManyRequests,
        Self::Overloaded,
        Self::RequestTimeout,
        Self::IssuerUnavailable,
        Self::QueueUnavailable,
        Self::QueueFull,
        Self::QueueTooDeep,
        Self::DatabaseUnavailable,
        Self::StorageUnavailable,
        Self::TimedOut,
        Self::Internal,
    ];

    /// The entry with this slug.
    pub fn by_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|problem| problem.entry().slug == slug)
    }
}
