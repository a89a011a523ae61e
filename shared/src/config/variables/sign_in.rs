//! How people come in: with whose word, and by which mail.

use super::variable::{Default, Variable, secret, variable};
use super::{ALL, API, WORKER};

pub(super) const SIGN_IN: &[Variable] = &[
    variable(
        "REGISTRATION",
        Default::Is("closed"),
        API,
        "Whether strangers may register a business: closed (people are invited), approval (it waits until whoever runs the platform approves it) or open.",
    ),
    variable(
        "GOOGLE_SIGN_IN_CLIENT_ID",
        Default::Off,
        ALL,
        "The OAuth client that people sign in to with Google; several, separated by commas, for a site and its apps. Without it nobody does.",
    ),
    variable(
        "GOOGLE_SIGN_IN_DISCOVERY_URL",
        Default::Is("https://accounts.google.com/.well-known/openid-configuration"),
        ALL,
        "Where Google says where its signing keys are.",
    ),
    variable(
        "OIDC_ISSUERS",
        Default::Off,
        ALL,
        "Other issuers of ID tokens that people sign in with (OpenID Connect): issuer=audience, separated by commas, such as https://securetoken.google.com/my-project=my-project for Firebase. An issuer that has several audiences is named again for each.",
    ),
    variable(
        "SYSTEM_SMTP_SERVER",
        Default::Off,
        WORKER,
        "The mail server for mail to people with accounts (codes, invitations, notices): tls, starttls or plain, then host and port, such as tls://smtp.example.com:465. Without it such mail waits.",
    ),
    variable("SYSTEM_SMTP_USERNAME", Default::Off, WORKER, "Who logs in there; nobody if not set."),
    secret("SYSTEM_SMTP_PASSWORD", Default::Off, WORKER, "The password for that."),
    variable(
        "SYSTEM_MAIL_FROM",
        Default::Off,
        WORKER,
        "The address that such mail comes from. Needed with SYSTEM_SMTP_SERVER.",
    ),
];
