//! postrider-sandbox
