//! postrider-api
